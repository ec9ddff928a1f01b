"""`kshot forget` deletes an image everywhere, says so in the record, and goes on after a kill."""

import contextlib
import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from kshot import cli
from kshot.errors import Busy, DataError, ParamsError
from kshot.lifecycle.audit import link
from kshot.lifecycle.audit.data import audit_data
from kshot.lifecycle.audit.links import origin
from kshot.lifecycle.audit.subject import opened
from kshot.lifecycle.data import data_versions, dvc_cache, erasures
from kshot.lifecycle.data.changes import add_version, restore
from kshot.lifecycle.forget import derived, erase, intent, object_stores
from kshot.lifecycle.forget.holding import Forgotten, ForgottenImage
from kshot.lifecycle.forget.project_files import ProjectFiles
from kshot.lifecycle.forget.run_files import RunFiles
from kshot.lifecycle.history import history
from kshot.lifecycle.history.events import ERASED
from kshot.lifecycle.project import layout, project_lock
from kshot.lifecycle.project.broken import Broken
from kshot.lifecycle.registry import registered_files
from kshot.lifecycle.serving import model_manifest
from tests.lifecycle import audited_project, raw_project
from tests.lifecycle.forget import planted_image
from tests.lifecycle.forget.planted_image import Planted
from tests.lifecycle.put_back import put_back
from tests.lifecycle.ssh_keys import ADA, commit_signers, line, new_key

WHY = ("--reason", "taken back", "--by", "Ada")
IMAGE = "data/raw/images/a/0.png"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return planted_image.make(tmp_path_factory.mktemp("planted"))


@contextlib.contextmanager
def restored(made: Planted, scratch: Path) -> Iterator[Planted]:
    """The project and its remote for a block that works in it; both are put back afterwards."""
    with contextlib.ExitStack() as stack:
        for folder in (made.root / "data", made.root / "reports", made.remote):
            stack.enter_context(put_back(folder, audited_project.copies(made.root) / folder.name))
        stack.enter_context(contextlib.chdir(made.root))
        stack.enter_context(audited_project.undone(made.root, scratch))
        yield made
    (made.root / layout.FORGETTING).unlink(missing_ok=True)
    shutil.rmtree(made.root / layout.STATE / "serve", ignore_errors=True)


@pytest.fixture
def planted(made: Planted, tmp_path: Path) -> Iterator[Planted]:
    with restored(made, tmp_path) as found:
        yield found


@pytest.fixture(scope="class")
def forgotten(made: Planted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    """The image was in a gallery, too, and is forgotten."""
    with restored(made, tmp_path_factory.mktemp("forgotten")) as found:
        planted_image.teach(found.root)
        kinds = {trace.partition(": ")[2] for trace in found.traces()}
        assert kinds >= {"file", "pixels", "features", "page", "example"}
        assert cli.main(["forget", IMAGE, *WHY, "--yes"]) == 0
        yield found


def test_a_file_that_took_the_place_of_the_image_meanwhile_stays(
    planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(erase, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert cli.main(["forget", IMAGE, *WHY, "--yes"]) == 130
    other = planted.root.parent / "0"
    (other / "a/0.png").write_bytes(raw_project.image("another"))
    add_version.add(planted.root, str(other))
    assert cli.main(["forget", IMAGE, *WHY, "--yes"]) == 0
    assert (planted.root / IMAGE).read_bytes() == raw_project.image("another")
    (other / "a/0.png").write_bytes(planted.file)
    assert planted.traces() == []


def test_without_yes_it_shows_what_holds_the_image_and_changes_nothing(
    planted: Planted, capsys: pytest.CaptureFixture[str]
) -> None:
    before = planted.traces()
    assert cli.main(["forget", IMAGE, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["data_versions"] == sorted(planted.data[number] for number in planted_image.WITH_IT)
    assert [one["version"] for one in found["models"]] == ["1", "3"]
    kinds = {(one["place"], one["what"]) for one in found["holdings"]}
    for place in ("DVC's cache", "remote store"):
        assert {(place, what) for what in ("image", "packed images", "features", "page")} <= kinds
    assert ("MLflow's artifacts", "input example of a model") in kinds
    assert planted.traces() == before
    assert cli.main(["forget", IMAGE]) == 0
    assert "trained on a data version that held it: version 1, version 3 (champion)" in capsys.readouterr().out


def test_an_erasure_excuses_no_loss_from_a_version_that_it_does_not_name(planted: Planted) -> None:
    """An image that was added again later, and is lost then."""
    erasures.note(planted.root, erasures.Erasure("k", "2026-01-01T00:00:00", "Ada", "so", (planted.md5,), ("0" * 32,)))
    dvc_cache.place(planted.root / planted_image.CACHE, planted.md5).unlink()
    (planted.remote / "files/md5" / planted.md5[:2] / planted.md5[2:]).unlink()
    found = audit_data(planted.root, planted.data[0]).links[0]
    assert found.state == link.BROKEN and "neither in DVC's cache nor in" in found.says


def test_a_line_that_no_event_seals_excuses_nothing(planted: Planted) -> None:
    root, version = planted.root, planted.data[0]
    dvc_cache.place(root / planted_image.CACHE, planted.md5).unlink()
    (planted.remote / "files/md5" / planted.md5[:2] / planted.md5[2:]).unlink()
    assert audit_data(root, version).links[0].state == link.BROKEN
    erasures.note(root, erasures.Erasure("k", "2026-01-01T00:00:00", "Ada", "so", (planted.md5,), (version,)))
    found = audit_data(root, version).links[0]
    assert found.state == link.BROKEN and "no event of the history" in found.says


STEPS: tuple[tuple[object, str], ...] = (
    (erase, "without_images"),
    (erasures, "note"),
    (erase.erasure_event, "seal"),
    (ProjectFiles, "delete"),
    (object_stores.ObjectStore, "delete"),
    (RunFiles, "delete"),
    (erase.receipt, "write"),
    (intent, "end"),
)


def test_a_command_that_is_killed_at_each_step_goes_on(
    planted: Planted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One forgetting, killed before and after each of its steps, one kill after the other."""
    asked = ["forget", IMAGE, *WHY]
    for place, name in STEPS:
        real: Callable[..., object] = getattr(place, name)
        for is_done in (False, True):

            def killed(*arguments: object, real: Callable[..., object] = real, is_done: bool = is_done) -> object:
                if is_done:
                    real(*arguments)
                raise KeyboardInterrupt

            with monkeypatch.context() as patch:
                patch.setattr(place, name, killed)
                assert cli.main([*asked, "--yes"]) == 130
        if name == "seal":
            assert cli.main(asked) == DataError.exit_code  # it is not finished
            assert "the same with --yes continues it" in capsys.readouterr().err
    assert planted.traces() == [] and intent.read(planted.root) is None
    assert len(erasures.read(planted.root)) == 1
    assert [one.action for one in history.history(planted.root)].count(ERASED) == 1
    assert audit_data(planted.root, planted.data[0]).links[0].state == link.ERASED
    (receipt,) = (planted.root / "reports").glob("erasure-*.json")
    places = {one["place"] for one in json.loads(receipt.read_text())["deleted"]}
    assert places == {"project folder", "DVC's cache", "remote store", "MLflow's artifacts"}


KILLS: tuple[tuple[object, str], ...] = ((erase, "without_images"), (RunFiles, "delete"), (erase.receipt, "write"))


@pytest.mark.parametrize(("place", "name"), KILLS)
def test_a_model_that_was_registered_before_a_killed_command_goes_on_is_named(
    planted: Planted,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    place: object,
    name: str,
) -> None:
    root, asked = planted.root, ["forget", IMAGE, *WHY, "--yes"]
    with monkeypatch.context() as patch:
        patch.setattr(place, name, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert cli.main(asked) == 130
    planted_image.register(root, 3, planted.data[0], tmp_path / "models")
    # Data, too: another version with the image.
    add_version.add(root, str(raw_project.write_tree(tmp_path / "more", {"a": 2, "b": 3})))
    between = data_versions.current(root)
    capsys.readouterr()
    assert cli.main(asked) == 0
    assert "version 4" in capsys.readouterr().out
    assert planted.traces() == []
    registered_files.require_whole(root, "4")
    assert between is not None and audit_data(root, between.md5).links[0].state == link.ERASED
    (receipt,) = (root / "reports").glob("erasure-*.json")
    found = json.loads(receipt.read_text())
    assert [one["version"] for one in found["models_trained_on_them"]] == ["1", "3", "4"]
    assert between.md5 in found["incomplete_data_versions"]
    here = data_versions.current(root)
    assert here is not None and found["new_data_version"] == here.md5
    sealed = {one.why for one in history.history(root) if one.action == ERASED}
    assert len(erasures.read(root)) == len(sealed) == 2
    assert all(any(one["erasure"] in why for why in sealed) for one in (found, *found["later"]))


def test_a_remote_that_cannot_be_reached_is_named_and_the_same_command_goes_on(
    planted: Planted, capsys: pytest.CaptureFixture[str]
) -> None:
    away = planted.remote.with_name("away")
    planted.remote.rename(away)
    asked = ["forget", IMAGE, *WHY, "--yes"]
    try:
        assert cli.main(asked) == DataError.exit_code
        assert "remote store cannot be reached" in capsys.readouterr().err
        assert planted.traces() == []  # everywhere else it is gone
        assert cli.main(["forget", "--class", "b", *WHY, "--yes"]) == DataError.exit_code  # one after the other
        assert "another forgetting is not finished" in capsys.readouterr().err
        # Nor does it end where the remote is no longer asked at all.
        config = planted.root / ".dvc/config"
        text = config.read_text()
        config.write_text(text.partition("['remote")[0].replace("remote = store", ""))
        assert cli.main(asked) == DataError.exit_code
        assert "remote store was not tried this time" in capsys.readouterr().err
        config.write_text(text)
    finally:
        away.rename(planted.remote)
    assert planted.traces() != []
    assert cli.main(asked) == 0
    assert planted.traces() == []


def test_a_stranger_checks_the_signed_receipt_and_a_key_without_the_right_forgets_nothing(
    planted: Planted, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, eve, before = new_key(tmp_path / "ada"), new_key(tmp_path / "eve"), planted.traces()
    commit_signers(planted.root, line(ada))
    asked = ["forget", IMAGE, *WHY, "--yes", "--key"]
    for key, said in ((eve, "eve may not sign the receipt"), (tmp_path / "none", "none is missing")):
        assert cli.main([*asked, str(key)]) == DataError.exit_code
        assert said in capsys.readouterr().err
    assert planted.traces() == before and intent.read(planted.root) is None
    with monkeypatch.context() as patch:
        patch.setattr(erase.receipt, "sign", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert cli.main([*asked, str(ada)]) == 130
    assert cli.main([*asked, str(ada)]) == 0
    assert "signed by ada@example.org" in capsys.readouterr().out
    (receipt,) = planted.receipts()
    signers = tmp_path / "signers"
    signers.write_text(line(ada))
    check = ["ssh-keygen", "-Y", "verify", "-f", signers, "-I", ADA, "-n", "kshot-erasure", "-s", f"{receipt}.sig"]
    for content, code in ((receipt.read_bytes(), 0), (receipt.read_bytes().replace(b"taken", b"token"), 255)):
        assert subprocess.run(check, input=content, capture_output=True, check=False).returncode == code


def test_an_archive_with_the_image_is_named_and_nothing_is_forgotten_until_it_is_gone(
    planted: Planted, capsys: pytest.CaptureFixture[str]
) -> None:
    """One in the project's folder, and one that somebody gave to DVC: its object is in the cache and the remote."""
    root, before = planted.root, planted.traces()
    for name in ("photos.zip", "kept.zip"):
        with zipfile.ZipFile(root / name, "w") as packed:
            packed.writestr("others/1.txt", b"of another length")
            packed.writestr("birds/3.png", planted.file, zipfile.ZIP_STORED)
            packed.comment = name.encode()
    oid = planted_image.keep(root, (root / "kept.zip").read_bytes())
    (root / "kept.zip").unlink()
    objects = [folder / oid[:2] / oid[2:] for folder in (root / planted_image.CACHE, planted.remote / "files/md5")]
    objects[1].parent.mkdir(exist_ok=True)
    shutil.copy(*objects)
    asked = ["forget", IMAGE, *WHY]
    assert cli.main(asked) == 0
    assert "archive with the image" in capsys.readouterr().out
    assert cli.main([*asked, "--yes"]) == DataError.exit_code
    said = capsys.readouterr().err
    assert "project folder: photos.zip (birds/3.png)" in said and "nothing was forgotten" in said
    assert all(f"{path} (birds/3.png)" in said for path in objects)
    assert set(before) < set(planted.traces()) and intent.read(root) is None
    for path in (root / "photos.zip", *objects):
        path.unlink()
    assert cli.main([*asked, "--yes"]) == 0
    assert planted.traces() == []


def test_an_archive_that_came_after_a_kill_is_named_at_the_end(
    planted: Planted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(erase, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert cli.main(["forget", IMAGE, *WHY, "--yes"]) == 130
    with zipfile.ZipFile(planted.root / "photos.zip", "w") as packed:
        packed.writestr("birds/3.png", planted.file)
    assert cli.main(["forget", IMAGE, *WHY, "--yes"]) == DataError.exit_code
    assert "project folder still holds archive with the image photos.zip (birds/3.png)" in capsys.readouterr().err
    (planted.root / "photos.zip").unlink()
    assert cli.main(["forget", IMAGE, *WHY, "--yes"]) == 0
    assert planted.traces() == [] and not any("photos.zip" in one.read_text() for one in planted.receipts())


def test_bad_input_is_refused_with_nothing_changed(planted: Planted, capsys: pytest.CaptureFixture[str]) -> None:
    before = planted.traces()

    def refused(*arguments: str, code: int = DataError.exit_code) -> str:
        assert cli.main(["forget", *arguments]) == code
        return capsys.readouterr().err

    assert "no reason is given" in refused(IMAGE, "--yes", code=ParamsError.exit_code)
    assert "one of these" in refused(*WHY, code=ParamsError.exit_code)
    assert "one of these" in refused(IMAGE, "--class", "a", code=ParamsError.exit_code)
    assert "is no image file" in refused("nothing.png", *WHY, "--yes")
    assert "params.yaml is no image" in refused("params.yaml", *WHY, "--yes")
    assert "manifest.csv is no image" in refused("data/raw/manifest.csv", *WHY, "--yes")
    assert "nothing here holds" in refused("0" * 32, *WHY, "--yes")
    assert "the classes are: a, b, c" in refused("--class", "d", *WHY, "--yes")
    assert "the sources are: 0, 1, 2" in refused("--source", "9", *WHY, "--yes")
    assert "fewer than 2 classes" in refused("--class", "a", *WHY, "--yes")
    with project_lock.hold(planted.root, "kshot retrain"):
        held = subprocess.run(
            [sys.executable, "-m", "kshot.cli", "forget", IMAGE],
            cwd=planted.root,
            capture_output=True,
            text=True,
            check=False,
        )
    assert held.returncode == Busy.exit_code and "kshot retrain" in held.stderr
    assert planted.traces() == before and intent.read(planted.root) is None and erasures.read(planted.root) == []


def test_all_of_the_champions_data_needs_a_word_more(
    planted: Planted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_version.add(planted.root, str(raw_project.write_tree(tmp_path / "new", {"x": 2, "y": 2})))
    asked = ["forget", *(f"images/{name}.png" for name in ("a/0", "a/1", "a/2", "b/0", "b/1")), *WHY, "--yes"]
    assert cli.main(asked) == DataError.exit_code
    assert "all that champion 3 was trained on" in capsys.readouterr().err
    assert cli.main([*asked, "--champions-data"]) == 0
    assert planted.traces() == []


def test_the_same_picture_in_another_file_goes_too(planted: Planted, tmp_path: Path) -> None:
    """Stage ingest notes each image's decoded pixels; another file of the same pixels has another md5."""
    source = raw_project.write_tree(tmp_path / "new", {"a": 2, "b": 2})
    (source / "b" / "copy.png").write_bytes(planted.file + b"\0")
    add_version.add(planted.root, str(source))
    from kshot.lifecycle.stages import ingest
    from kshot.params.schema import load_params

    ingest.run(planted.root, load_params(planted.root / "params.yaml"))
    planted_image.keep_folder(planted.root, raw_project.files_below(planted.root / layout.PACKED))
    assert cli.main(["forget", IMAGE, *WHY, "--yes"]) == 0
    assert not (planted.root / "data/raw/images/b/copy.png").exists()
    assert planted.traces() == []


def test_a_shard_that_a_data_version_without_the_image_shares_stays_and_all_others_go(tmp_path: Path) -> None:
    """A shard that no listing names could not be found by a later forgetting: it goes although it lacks the image."""
    rows = {}
    for name, contents in (("with", ["f" * 32, "a" * 32]), ("without", ["a" * 32])):
        pd.DataFrame({"path": [f"{one}.png" for one in contents], "content": contents}).to_parquet(tmp_path / name)
        rows[name] = (tmp_path / name).read_bytes()
    folders = {
        "1.dir": {"shards.json": "t1", "aa.npy": "aa", "bb.npy": "bb", "cc.npy": "cc", "manifest.parquet": "with"},
        "2.dir": {"shards.json": "t2", "aa.npy": "aa", "manifest.parquet": "without"},
    }
    image = ForgottenImage("0" * 32, "", 1, ("f" * 32,))
    wanted = Forgotten((image,), frozenset(), frozenset())
    found = derived.holding_objects(folders, wanted, rows.get, [])
    assert {oid for oid, what in found.items() if what == derived.PACKED} == {"bb", "cc", "with"}
    assert found["1.dir"] == derived.LISTING and "2.dir" not in found


def test_a_shard_of_features_that_a_data_version_without_the_image_shares_stays() -> None:
    folders = {
        "1.dir": {"features.json": "t1", "aa.npy": "aa", "bb.npy": "bb", "embedded.json": "e"},
        "2.dir": {"features.json": "t2", "aa.npy": "aa", "embedded.json": "e"},
    }
    locks = [
        {"deps": [{"path": "data/packed", "md5": packed}], "outs": [{"path": "data/embedded", "md5": oid}]}
        for packed, oid in (("with.dir", "1.dir"), ("without.dir", "2.dir"))
    ]
    wanted = Forgotten((), frozenset(), versions=frozenset({"with"}))
    found = derived.holding_objects(folders, wanted, lambda _: None, locks)
    assert found == {"bb": derived.FEATURES_OF, "t1": derived.FEATURES_OF, "1.dir": derived.LISTING}


def test_shards_of_a_killed_ingest_go_too(planted: Planted) -> None:
    from kshot.lifecycle.stages import ingest
    from kshot.lifecycle.stages.shards.shard_store import ShardStore
    from kshot.params.schema import load_params

    ingest.run(planted.root, load_params(planted.root / "params.yaml"))
    stored = ShardStore(planted.root, "ingest").folder
    assert any(layout.UNFINISHED.as_posix() in trace for trace in planted.traces())
    left = planted.root / ".kshot/sweep-1/trial" / layout.UNFINISHED / "ingest"
    shutil.copytree(stored, left)
    assert cli.main(["forget", IMAGE, *WHY, "--yes"]) == 0
    assert not stored.exists() and not left.exists()
    assert planted.traces() == []


class TestForgotten:
    """What is left after one forgetting."""

    def test_no_byte_of_the_image_is_left_and_all_other_content_is(self, forgotten: Planted) -> None:
        root, last = forgotten.root, forgotten.data[2]
        assert forgotten.traces() == []
        assert planted_image.taught(root) == 1
        other = forgotten.packed[planted_image.WITHOUT_IT]
        assert hashlib.md5(dvc_cache.place(root / planted_image.CACHE, other).read_bytes()).hexdigest() == other
        here = data_versions.current(root)
        assert here is not None and here.images == 4 and "without 1 erased image" in here.note
        assert not (root / IMAGE).exists() and (root / "data/raw/images/a/1.png").exists()
        assert "99.36 %" in (root / f"reports/data-{last[:8]}.html").read_text()
        assert intent.read(root) is None

    def test_audits_say_erased_of_versions_that_had_it_and_hold_of_all_others(self, forgotten: Planted) -> None:
        root, (first, other, last) = forgotten.root, forgotten.data
        here = data_versions.current(root)
        assert here is not None
        for version in (first, last):
            found = {one.name: one for one in audit_data(root, version).links}
            assert found["data"].state == link.ERASED and "erased by Ada" in found["data"].says
            assert "taken back" in found["data"].says and found["history"].holds
        for version in (other, here.md5):
            assert all(one.holds and one.state != link.ERASED for one in audit_data(root, version, deep=True).links)
        assert audit_data(root, first, deep=True).links[0].state == link.ERASED

    def test_the_receipt_has_hashes_and_no_name(self, forgotten: Planted) -> None:
        (event,) = [one for one in history.history(forgotten.root) if one.action == ERASED]
        (erasure,) = erasures.read(forgotten.root)
        assert erasure.digest in event.why and erasure.images == (forgotten.md5,)
        (receipt,) = (forgotten.root / "reports").glob("erasure-*.json")
        text = receipt.read_text()
        found = json.loads(text)
        assert {"DVC's cache", "remote store", "galleries"} < {one["place"] for one in found["deleted"]}
        assert forgotten.md5 in text and hashlib.sha256(forgotten.file).hexdigest() in text and "a/0.png" not in text
        assert found["event"] == {"number": event.number, "hash": event.hash}

    def test_a_registered_model_stays_whole_without_its_input_example(self, forgotten: Planted, tmp_path: Path) -> None:
        for version in ("1", "2", "3"):
            registered_files.require_whole(forgotten.root, version)
        subject = opened(forgotten.root, "3", tmp_path)
        assert "input_example.json" not in subject.sealed.model and "taken back" in str(subject.erased_example)
        before = (subject.model / model_manifest.AS_REGISTERED).read_bytes()
        assert model_manifest.digest(before) == subject.tags[model_manifest.TAG]
        assert "input_example.json" in opened(forgotten.root, "2", tmp_path / "2").sealed.model

    def test_the_audit_of_a_model_says_erased(self, forgotten: Planted, tmp_path: Path) -> None:
        subject = opened(forgotten.root, "1", tmp_path)
        entry = {"md5": f"{forgotten.data[0]}.dir", "size": None}
        object.__setattr__(subject, "input", lambda path: entry)
        found = link.checked("data", lambda: origin.data(subject, None))
        assert found.state == link.ERASED and found.holds

    def test_an_incomplete_version_says_what_it_lacks_when_it_is_asked_for(
        self, forgotten: Planted, capsys: pytest.CaptureFixture[str]
    ) -> None:
        first = data_versions.find(forgotten.root, forgotten.data[0])
        with pytest.raises(DataError, match="incomplete on purpose .* erased by Ada .* taken back"):
            restore.checkout(forgotten.root, first)
        assert cli.main(["forget", forgotten.md5, *WHY, "--yes"]) == DataError.exit_code
        assert "they were erased by Ada" in capsys.readouterr().err

    def test_a_line_that_no_event_seals_changes_no_manifest(self, forgotten: Planted, tmp_path: Path) -> None:
        (erasure,) = erasures.read(forgotten.root)
        kept = (forgotten.root / layout.ERASURES).read_text()
        (forgotten.root / layout.ERASURES).write_text("")
        erasures.note(forgotten.root, erasures.Erasure(**{**vars(erasure), "reason": "another"}))
        with pytest.raises(Broken, match="manifest.json of version 3 was changed"):
            opened(forgotten.root, "3", tmp_path).sealed  # noqa: B018
        (forgotten.root / layout.ERASURES).write_text(kept)
