"""A watched source replaces the data or extends it, as the schedule says, and nothing is left out without a line."""

import dataclasses
from pathlib import Path

from kshot.flows.schedules.new_data_watch import Watch
from kshot.flows.schedules.schedule_text import whole
from kshot.lifecycle.data import data_versions
from kshot.lifecycle.data.changes import add_version
from kshot.lifecycle.pipeline import new_data
from kshot.lifecycle.pipeline.schedule_changes import Changes, changed
from kshot.lifecycle.project import project_lock
from tests.lifecycle import raw_project


def test_a_watched_folder_replaces_the_data_or_extends_it_as_the_schedule_says(tmp_path: Path) -> None:
    root = raw_project.make(tmp_path / "project")
    first = add_version.add(root, str(raw_project.write_tree(tmp_path / "first", {"a": 1, "b": 1})))
    incoming = raw_project.write_tree(tmp_path / "incoming", {"b": 2, "c": 1})
    replaces = changed(None, Changes(on_new_data=str(incoming), poll="1s"))
    extends = dataclasses.replace(replaces, extend=True)
    assert "it replaces the data whole" in whole(root, replaces, 200)
    assert "it is added to the images that are there" in whole(root, extends, 200)

    said: list[str] = []
    watch = Watch(root, said.append)
    watch.find(extends)
    watch.find(extends)  # its files have not changed since the first look
    extended = data_versions.current(root)
    assert extended is not None and (extended.images, extended.classes, extended.base) == (4, 3, first.md5)
    assert "2 images and 2 classes were there" in " ".join(said) and "replaces" not in " ".join(said)

    raw_project.write_tree(incoming, {"d": 1})
    said.clear()
    watch.find(replaces)
    watch.find(replaces)
    replaced = data_versions.current(root)
    assert replaced is not None and (replaced.images, replaced.classes, replaced.base) == (4, 3, "")
    (line,) = [line for line in said if "replaces the data whole" in line]
    assert f"1 image and 1 class of version {extended.short} are not in it" in line
    assert [one.md5 for one in watch.seen.versions] == [extended.md5, replaced.md5]


def test_a_retraining_that_nothing_works_on_is_interrupted_and_not_under_way(tmp_path: Path) -> None:
    root = raw_project.make(tmp_path / "project")
    (root / ".kshot").mkdir()
    watched = changed(None, Changes(on_new_data=str(tmp_path), poll="1s"))
    new_data.write(root, new_data.Seen(versions=(new_data.Version("0a1b2c3d" * 4, run="r"),)))
    assert "last 0a1b2c3d: interrupted; it is started again when this is served" in whole(root, watched, 200)
    for lock in (project_lock.SERVING, project_lock.SCHEDULED):
        with project_lock.hold(root, "kshot schedule", lock):
            assert "last 0a1b2c3d: under way" in whole(root, watched, 200)
