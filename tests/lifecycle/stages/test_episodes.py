"""Stage episodes: every file, well-formed, the same from the same seed, and no image twice in one episode."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kshot.errors import DataError
from kshot.lifecycle.data.packed import read_classes, read_episodes, read_manifest
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages import episodes, ingest, split
from tests.lifecycle.raw_project import SMALL, settings, write_manifest, write_raw

CLASSES = [f"{script}/letter {i}" for script in "abc" for i in range(4)]


def prepared(root: Path, images: int = 5, **changes: Any) -> Any:
    """A project split and ready; class a/letter 0 has a copy of each of its images. Returns its params."""
    folder = write_raw(root, dict.fromkeys(CLASSES, images))
    for number in range(images):
        copy = folder / "a/letter 0" / f"copy {number}.png"
        copy.write_bytes((folder / "a/letter 0" / f"{number}.png").read_bytes())
    write_manifest(root)
    sections: dict[str, Any] = {**SMALL, **{key: {**SMALL[key], **value} for key, value in changes.items()}}
    params = settings(**sections)
    ingest.run(root, params)
    split.run(root, params)
    return params


@pytest.mark.parametrize("rotations", ["none", "all"])
def test_every_episode_asks_what_its_protocol_says(tmp_path: Path, rotations: str) -> None:
    params = prepared(tmp_path, split={"rotations": rotations})
    episodes.run(tmp_path, params)
    manifest, classes = read_manifest(tmp_path), read_classes(tmp_path)
    count = len(manifest)
    for place in ("val", "test"):
        for name, protocol in params.episodes.protocols.items():
            drawn = read_episodes(tmp_path, place, name)
            assert drawn.support.shape == (50, protocol.n_way, protocol.k_shot)
            assert drawn.query.shape == (50, protocol.n_way, 2)
            ids = np.concatenate([drawn.support, drawn.query], 2)
            assert (classes.loc[drawn.classes.ravel(), "split"] == place).all()
            owners = manifest["class"].to_numpy()[ids % count]
            assert (owners == classes["class"].to_numpy()[drawn.classes][:, :, None]).all()
            assert (ids // count == classes["rotation"].to_numpy()[drawn.classes][:, :, None]).all()
            content = manifest["content"].to_numpy()[ids % count]
            for row in range(50):
                for way in range(protocol.n_way):
                    assert len(set(content[row, way])) == protocol.k_shot + 2


def test_the_copies_of_an_image_never_meet(tmp_path: Path) -> None:
    """Wherever the class with the copies lies: it is moved into the test split by a table."""
    table = {name: ("test" if name.startswith("a") else "val" if name.startswith("b") else "train") for name in CLASSES}
    folder = write_raw(tmp_path, dict.fromkeys(CLASSES, 4))
    for number in range(4):
        source = folder / "a/letter 0" / f"{number}.png"
        (folder / "a/letter 0" / f"copy {number}.png").write_bytes(source.read_bytes())
    write_manifest(tmp_path, table)
    params = settings(**{**SMALL, "split": {"by": "table"}})
    for stage in (ingest, split, episodes):
        stage.run(tmp_path, params)
    manifest, classes = read_manifest(tmp_path), read_classes(tmp_path)
    drawn = read_episodes(tmp_path, "test", "2w2s")
    label = classes.index[classes["class"] == "a/letter 0"][0]
    content = manifest["content"].to_numpy()[np.concatenate([drawn.support, drawn.query], 2)]
    asked = content[drawn.classes == label]
    assert len(asked) > 5
    assert all(len(set(row)) == 4 for row in asked)


def test_the_seed_decides(tmp_path: Path) -> None:
    params = prepared(tmp_path)

    def drawn(seed: int) -> dict[str, bytes]:
        chosen = settings(**{**SMALL, "episodes": {**SMALL["episodes"], "seed": seed}})
        episodes.run(tmp_path, chosen)
        return {path.name: path.read_bytes() for path in sorted((tmp_path / layout.EPISODES).iterdir())}

    first = drawn(params.episodes.seed)
    assert list(first) == ["test-2w2s.npz", "test-3w1s.npz", "val-2w2s.npz", "val-3w1s.npz"]
    assert drawn(params.episodes.seed) == first
    assert all(again != once for again, once in zip(drawn(1).values(), first.values(), strict=True))


def test_another_protocol_beside_it_leaves_a_protocol_as_it_was(tmp_path: Path) -> None:
    params = prepared(tmp_path)
    episodes.run(tmp_path, params)
    before = (tmp_path / layout.EPISODES / "test-3w1s.npz").read_bytes()
    fewer = {"3w1s": SMALL["episodes"]["protocols"]["3w1s"]}
    episodes.run(tmp_path, settings(**{**SMALL, "episodes": {**SMALL["episodes"], "protocols": fewer}}))
    assert (tmp_path / layout.EPISODES / "test-3w1s.npz").read_bytes() == before


def test_k_shot_larger_than_a_class_is_told_with_split_and_protocol(tmp_path: Path) -> None:
    params = prepared(tmp_path, images=3)
    with pytest.raises(DataError, match=r"val episodes of 2w2s: .* needs 2 classes of 4 different images"):
        episodes.run(tmp_path, params)


def test_a_protocol_by_drawers_has_one_drawer_for_the_support_and_one_for_the_queries(tmp_path: Path) -> None:
    protocol = {"n_way": 3, "k_shot": 1, "within_group": True, "by_drawer": True, "n_query": 1}
    protocols = {**SMALL["episodes"]["protocols"], "lake": protocol}
    params = prepared(tmp_path, split={"rotations": "all"}, episodes={"protocols": protocols})
    place = tmp_path / layout.PACKED / "manifest.parquet"
    manifest = read_manifest(tmp_path)
    drawers = np.arange(len(manifest)) % 5
    manifest.assign(drawer=[f"drawer {number}" for number in drawers]).to_parquet(place, index=False)
    episodes.run(tmp_path, params)
    drawn = read_episodes(tmp_path, "test", "lake")
    assert drawn.support.shape == drawn.query.shape == (50, 3, 1)
    for support, query in zip(drawn.support, drawn.query, strict=True):
        (teacher,), (asker,) = (
            set(drawers[support.ravel() % len(manifest)]),
            set(drawers[query.ravel() % len(manifest)]),
        )
        assert teacher != asker


def test_a_protocol_by_drawers_without_drawers_is_told_with_split_and_protocol(tmp_path: Path) -> None:
    protocol = {"n_way": 3, "k_shot": 1, "within_group": False, "by_drawer": True}
    params = prepared(tmp_path, episodes={"protocols": {**SMALL["episodes"]["protocols"], "lake": protocol}})
    with pytest.raises(DataError, match="val episodes of lake: by_drawer needs two drawers that share 3 classes"):
        episodes.run(tmp_path, params)
