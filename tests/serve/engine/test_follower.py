import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from kshot.errors import RegistryError
from kshot.lifecycle.registry import promotion
from kshot.serve.engine import registered_copy
from kshot.serve.engine.embedding_queue import EmbeddingQueue
from kshot.serve.engine.follower import Follower
from kshot.serve.settings import ServeSettings
from kshot.serve.store import examples, galleries
from kshot.serve.store.examples import NewImage
from kshot.serve.store.gallery_store import open_store, sweep
from kshot.serve.store.image_files import sha256_of
from tests.serve import served_project


@contextmanager
def following(root: Path) -> Iterator[Follower]:
    store, queue = open_store(root), EmbeddingQueue(32, 0)
    with ThreadPoolExecutor(2) as pool:
        yield Follower(root, ServeSettings(device="cpu"), store, queue, pool)
    queue.close()
    store.close()


def teach(follower: Follower, classes: dict[str, list[bytes]], count: int, gallery: str = "shop") -> None:
    images = [
        NewImage(name, files[0], sha256_of(files[0]), 28, 28, "image/png")
        for name, files in list(classes.items())[:count]
    ]
    examples.teach(follower.store, gallery, images)


def test_a_new_champion_is_served_with_every_gallery_embedded_by_it(
    project: Path, classes: dict[str, list[bytes]]
) -> None:
    with following(project) as follower:
        galleries.create(follower.store, "shop")
        teach(follower, classes, 3)
        old = follower.current
        before = old.states.get("shop")
        assert (old.version.version, follower.look()) == ("1", False)
        served_project.name_champion(project, "2")
        assert follower.look() and follower.trouble == ""
        assert (follower.current.version.version, old.version.version) == ("2", "1")
        now = follower.current.states.get("shop")
        assert now.class_names == before.class_names and not np.allclose(now.points, before.points)
        batches = follower.queue.batches
        promotion.promote(project, "1", "back", allow_unrecorded=True)
        assert follower.look() and follower.current is old and follower.queue.batches == batches


def test_a_gallery_that_changes_while_the_service_switches_loses_nothing(
    project: Path, classes: dict[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with following(project) as follower:
        galleries.create(follower.store, "shop")
        teach(follower, classes, 1)
        served_project.name_champion(project, "2")
        real, grown = follower.queue.embed, 1

        def growing(*arguments: object, **named: object) -> object:
            nonlocal grown
            grown += 1
            teach(follower, classes, grown)
            return real(*arguments, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(follower.queue, "embed", growing)
        assert follower.look()
        monkeypatch.undo()
        assert grown > 2 and len(follower.current.states.get("shop").ids) == grown


def test_the_service_starts_and_stays_without_the_registry_and_says_so(project: Path) -> None:
    database = project / "mlruns/mlflow.db"
    with following(project) as follower:
        content = database.read_bytes()
        database.write_bytes(b"no database" * 1000)
        assert not follower.look() and "version 1 is served" in follower.trouble
    with following(project) as again:
        assert again.current.version.version == "1" and "version 1 is served, as before" in again.trouble
        database.write_bytes(content)
        assert not again.look() and again.trouble == ""


def test_a_version_that_is_not_as_registered_is_not_served(project: Path, template: Path) -> None:
    with following(project) as follower:
        served_project.name_champion(project, "2")
        weights = list(template.glob("mlruns/artifacts/**/embedding.safetensors"))
        assert weights
        try:
            for path in weights:
                path.write_bytes(path.read_bytes() + b"x")
            assert not follower.look() and "is not as it was registered" in follower.trouble
            assert follower.current.version.version == "1"
        finally:
            for path in weights:
                path.write_bytes(path.read_bytes()[:-1])


def test_an_alias_of_a_persons_own_is_served(project: Path) -> None:
    from kshot.lifecycle.tracking import store

    assert registered_copy.standing(project, "staging") is None
    store.connect(project)
    store.client().set_registered_model_alias("kshot", "staging", "2")
    found = registered_copy.standing(project, "staging")
    assert found is not None and (found.version, found.alias) == ("2", "staging")


def test_without_a_champion_there_is_nothing_to_serve(project: Path) -> None:
    from kshot.lifecycle.tracking import store

    store.connect(project)
    store.client().delete_registered_model_alias("kshot", "champion")
    with pytest.raises(RegistryError, match="no version is champion, so there is nothing to serve"), following(project):
        pass


SWITCH = """
import os, shutil, signal, sys
from pathlib import Path
from kshot.serve.engine import follower, registered_copy
from kshot.serve.service import open_service
from kshot.serve.settings import ServeSettings
from tests.serve import served_project

root, place = Path(sys.argv[1]), sys.argv[2]
owner, name = {
    "fetch": (registered_copy.shutil, "copytree"), "embed": (follower.GalleryStates, "follow_changes"),
}[place]
service = open_service(root, ServeSettings(device="cpu"))
real = getattr(owner, name)

def killed(*arguments, **named):
    real(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(owner, name, killed)
served_project.name_champion(root, "2")
print(service.follower.look(), service.follower.trouble)
"""


@pytest.mark.parametrize("place", ["fetch", "embed"])
def test_a_service_that_was_killed_while_it_switched_serves_the_new_champion_after_a_start(
    project: Path, classes: dict[str, list[bytes]], place: str
) -> None:
    """Killed with half a copy of the model, and with every gallery embedded but not switched to."""
    with following(project) as follower:
        galleries.create(follower.store, "shop")
        teach(follower, classes, 3)
    command = [sys.executable, "-c", SWITCH, str(project), place]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == -signal.SIGKILL, (ended.stdout, ended.stderr)
    with following(project) as again:
        sweep(again.store)
        assert (again.current.version.version, again.trouble) == ("2", "")
        assert again.current.states.get("shop").class_names == tuple(sorted(classes)[:3])
        assert not list(again.store.folder.glob(".scratch-*"))
