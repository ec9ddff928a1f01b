"""The changes between two versions, from hand-written listings in the format of DVC's cache."""

import hashlib
import json
from pathlib import Path

import pytest

from kshot.errors import DataError
from kshot.lifecycle.data.data_diff import compare


def listing(
    cache: Path,
    images: dict[str, str],
    splits: dict[str, str] | None = None,
    groups: dict[str, str] | None = None,
    drawers: dict[str, str] | None = None,
) -> str:
    """A version whose images have these contents: path below images/ to content. Returns its md5."""

    def keep(content: str, suffix: str = "") -> str:
        md5 = hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()
        place = cache / md5[:2] / f"{md5[2:]}{suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content, encoding="utf-8")
        return md5

    rows = [(f"images/{path}", path.rpartition("/")[0]) for path in images]
    lines = [f"{path},{name},{(groups or {}).get(name, '')},{(splits or {}).get(name, '')}" for path, name in rows]
    head = "path,class,group,split"
    if drawers is not None:
        head, lines = (
            f"{head},drawer",
            [f"{line},{drawers.get(path, '')}" for line, path in zip(lines, images, strict=True)],
        )
    entries = [{"md5": keep(content), "relpath": f"images/{path}"} for path, content in images.items()]
    entries.append({"md5": keep("\n".join([head, *lines]) + "\n"), "relpath": "manifest.csv"})
    return keep(json.dumps(entries), ".dir")


def test_every_kind_of_change_is_told(tmp_path: Path) -> None:
    old = listing(
        tmp_path,
        {"a/1": "one", "a/2": "two", "b/1": "moving", "gone/1": "lost", "both/1": "same"},
        {"a": "train", "both": "val"},
    )
    new = listing(
        tmp_path,
        {"a/1": "one", "a/2": "TWO", "c/1": "moving", "new/1": "fresh", "both/1": "same"},
        {"a": "test", "both": "val"},
    )
    found = compare(tmp_path, old, new)
    assert found.classes_added == ("c", "new")
    assert found.classes_removed == ("b", "gone")
    assert found.images_added == ("images/new/1",)
    assert found.images_removed == ("images/gone/1",)
    assert found.images_changed == ("images/a/2",)
    assert found.images_moved == (("images/b/1", "images/c/1"),)
    assert found.splits_changed == ("a",)


def test_another_group_and_another_drawer_are_a_difference(tmp_path: Path) -> None:
    images = {"a/1": "one", "a/2": "two", "b/1": "three"}
    plain = listing(tmp_path, images)
    grouped = listing(tmp_path, images, groups={"a": "fruit"}, drawers={"a/2": "Ada"})
    found = compare(tmp_path, plain, grouped)
    assert found.groups_changed == ("a",)
    assert found.drawers_changed == ("images/a/2",)
    lines = str(found).splitlines()
    assert lines[1:] == ["classes in another group: 1", "  a", "images by another drawer: 1", "  images/a/2"]


def test_a_copy_that_came_is_no_move(tmp_path: Path) -> None:
    old = listing(tmp_path, {"a/1": "one"})
    new = listing(tmp_path, {"a/1": "one", "b/1": "one"})
    found = compare(tmp_path, old, new)
    assert found.images_added == ("images/b/1",)
    assert found.images_moved == ()


def test_two_copies_of_which_one_stays_are_one_move(tmp_path: Path) -> None:
    old = listing(tmp_path, {"a/1": "one", "a/2": "one"})
    new = listing(tmp_path, {"b/1": "one"})
    found = compare(tmp_path, old, new)
    assert found.images_moved == (("images/a/1", "images/b/1"),)
    assert found.images_removed == ("images/a/2",)


def test_it_is_printed_with_counts_and_the_first_names(tmp_path: Path) -> None:
    old = listing(tmp_path, {"a/1": "one"})
    new = listing(tmp_path, {"a/1": "one"} | {f"ב/{i:02}": f"content {i}" for i in range(12)})
    lines = str(compare(tmp_path, old, new)).splitlines()
    assert lines[0] == f"{old[:8]} -> {new[:8]}"
    assert lines[1:3] == ["classes that came: 1", "  ב"]
    assert lines[3:5] == ["images that came: 12", "  images/ב/00"]
    assert lines[-1] == "  and 2 more"


def test_no_difference_is_said(tmp_path: Path) -> None:
    old = listing(tmp_path, {"a/1": "one"})
    assert str(compare(tmp_path, old, old)).endswith(": no difference")


def test_a_listing_that_the_cache_no_longer_holds_is_told(tmp_path: Path) -> None:
    old = listing(tmp_path, {"a/1": "one"})
    with pytest.raises(DataError, match="no longer holds the listing of data version 01234567"):
        compare(tmp_path, old, "0123456789abcdef0123456789abcdef")
