"""The anchor grows with each event and only then; a rewritten history is detected by its first event."""

import dataclasses
import logging
import shutil
import subprocess
from pathlib import Path

import pytest

from kshot.lifecycle.history import anchor, anchor_ref, anchor_remote
from kshot.lifecycle.history.events import Event, person, seal
from kshot.lifecycle.project import git

RUN = "0123456789abcdef0123456789abcdef"


def chain(count: int, why: str = "it is so", first: int = 1) -> list[Event]:
    """Events that follow from each other; from number `first` on their reason is `why`."""
    found: list[Event] = []
    for number in range(1, count + 1):
        found.append(
            seal(
                Event(
                    number=number,
                    when="2026-03-01T10:00:00+00:00",
                    action="promoted",
                    version=str(number),
                    before={},
                    after={"champion": str(number)},
                    who=person("Ada"),
                    process=1,
                    why=why if number >= first else "it is so",
                    compared_with="",
                    rules="",
                    until="",
                    proof=None,
                    mark=str(number),
                    previous=found[-1].hash if found else "",
                )
            )
        )
    # The user, machine and moment of these tests are the same in every event.
    return [dataclasses.replace(event) for event in found]


def repository(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for command in (
        ["init", "-q", "-b", "main"],
        ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "-qm", "one", "--allow-empty"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return repository(tmp_path / "project")


def test_every_event_is_anchored_and_neither_branch_nor_tree_is_touched(root: Path) -> None:
    before = (git.text(root, "status", "--porcelain"), git.commit(root), git.text(root, "branch"))
    events = chain(3)
    for count in (1, 2, 3, 3):
        anchor.keep(root, RUN, events[:count])
    found = anchor.read(root, RUN)
    assert found.hashes == tuple(event.hash for event in events) and found.others == ()
    assert int(git.text(root, "rev-list", "--count", found.ref)) == 3
    assert (git.text(root, "status", "--porcelain"), git.commit(root), git.text(root, "branch")) == before
    assert anchor.problem(events, found.hashes) == ""


def test_a_history_rewritten_hash_by_hash_is_found_with_its_first_event(root: Path) -> None:
    anchor.keep(root, RUN, chain(4))
    hashes = anchor.read(root, RUN).hashes
    assert "event 3 (version 3 promoted) is not the one that git anchors" in anchor.problem(
        chain(4, "forged", first=3), hashes
    )
    assert "git anchors 4 events, and the history has 2: event 3 is gone" in anchor.problem(chain(2), hashes)


def test_another_history_is_never_anchored_over_the_first(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    anchor.keep(root, RUN, chain(2))
    with caplog.at_level(logging.WARNING):
        anchor.keep(root, RUN, chain(3, "forged", first=2))
    assert anchor.read(root, RUN).hashes == tuple(event.hash for event in chain(2))
    assert "not anchored in git: event 2 is not the one that refs/kshot/history" in caplog.text
    anchor.keep(root, "f" * 32, chain(1))
    assert anchor.read(root, "f" * 32).others == (anchor.read(root, RUN).ref,)


def test_a_moved_project_still_finds_that_its_history_was_replaced(root: Path, tmp_path: Path) -> None:
    anchor.keep(root, RUN, chain(2))
    moved = tmp_path / "moved"
    shutil.copytree(root, moved)
    assert anchor.read(moved, "f" * 32).others == ()
    anchor_ref.copy_from(moved, root)
    assert anchor.read(moved, "f" * 32).others == (anchor.read(moved, RUN).ref,)
    assert len(anchor.read(moved, RUN).hashes) == 2 and anchor.read(moved, RUN).ref != anchor.read(root, RUN).ref
    anchor_ref.copy_from(tmp_path, root)  # without git


def test_two_machines_anchor_one_history_on_one_remote(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example.org")  # which both use
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "hub.git")], check=True)
    other = repository(tmp_path / "other")
    for place in (root, other):
        subprocess.run(["git", "remote", "add", "origin", str(tmp_path / "hub.git")], cwd=place, check=True)
    events = chain(3)
    anchor.keep(root, RUN, events[:1])
    anchor.keep(other, RUN, events[:2])
    anchor.keep(root, RUN, events[:3])
    for place in (root, other):
        assert anchor.read(place, RUN, remote=True).hashes == tuple(event.hash for event in events)
    ref = anchor.read(root, RUN).ref
    hub = tmp_path / "hub.git"
    assert int(git.text(hub, "rev-list", "--count", ref)) == 3 and git.text(hub, "for-each-ref", "refs/heads") == ""


def test_a_remote_that_cannot_be_reached_is_one_line_and_the_anchor_is_kept_here(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    subprocess.run(["git", "remote", "add", "origin", str(root / "nowhere")], cwd=root, check=True)
    with caplog.at_level(logging.WARNING):
        anchor.keep(root, RUN, chain(1))
    (record,) = caplog.records
    assert "(remote origin)" in record.getMessage() and "\n" not in record.getMessage()
    assert len(anchor.read(root, RUN).hashes) == 1
    caplog.clear()
    subprocess.run(["git", "config", anchor_remote.PUSH, "false"], cwd=root, check=True)
    anchor.keep(root, RUN, chain(2))
    assert not caplog.records and len(anchor.read(root, RUN).hashes) == 2


def test_a_clone_reads_the_anchor_of_the_repository_that_it_came_from_and_writes_nothing_there(
    root: Path, tmp_path: Path
) -> None:
    anchor.keep(root, RUN, chain(2))
    subprocess.run(["git", "clone", "-q", str(root), str(tmp_path / "clone")], check=True)
    clone, before = tmp_path / "clone", git.text(root, "for-each-ref")
    assert anchor.read(clone, RUN).hashes == ()
    assert len(anchor.read(clone, RUN, remote=True).hashes) == 2
    anchor.keep(clone, "f" * 32, chain(1))  # a registry of its own
    assert git.text(root, "for-each-ref") == before and anchor.read(root, RUN).others == ()


def test_a_project_that_was_moved_keeps_its_anchor(root: Path, tmp_path: Path) -> None:
    anchor.keep(root, RUN, chain(1))
    moved = root.rename(tmp_path / "moved")
    anchor.keep(moved, RUN, chain(2))
    assert len(anchor.read(moved, RUN).hashes) == 2
    assert len(git.text(moved, "for-each-ref", anchor_ref.REFS).splitlines()) == 1


def test_outside_of_a_repository_nothing_is_anchored_and_nothing_fails(tmp_path: Path) -> None:
    anchor.keep(tmp_path, RUN, chain(1))
    with pytest.raises(git.NoRepository):
        anchor.read(tmp_path, RUN)


def test_projects_of_one_repository_have_anchors_of_their_own(root: Path) -> None:
    (root / "letters").mkdir()
    anchor.keep(root, RUN, chain(1))
    anchor.keep(root / "letters", "f" * 32, chain(2))
    assert anchor.read(root, RUN).others == () == anchor.read(root / "letters", "f" * 32).others


def test_events_that_a_kill_kept_from_git_are_counted_and_anchored_later(root: Path) -> None:
    events = chain(4)
    assert anchor.behind(root, RUN, events) == 0  # nothing is anchored: no kill, a project that git came to later
    anchor.keep(root, RUN, events[:3])
    assert anchor.behind(root, RUN, events) == 1 and anchor.behind(root, RUN, events[:2]) == 0
    assert anchor.behind(root, RUN, chain(4, "it is another", first=2)) == 0  # no kill: the audit tells it
    assert anchor.catch_up(root, RUN, events).startswith("the last 1 of 4 events had not been anchored in git")
    assert anchor.read(root, RUN).hashes == tuple(event.hash for event in events)
    assert anchor.catch_up(root, RUN, events) == ""
