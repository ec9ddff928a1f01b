"""New data: the content of the source in a folder, in the project and in a git branch; what is stored about it."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from kshot.errors import DataError, KshotError
from kshot.lifecycle.pipeline import new_data
from kshot.lifecycle.pipeline.new_data import Seen, Version
from kshot.lifecycle.project import layout

A, B = "a" * 32, "b" * 32


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    return subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


def name_version(root: Path, md5: str) -> None:
    (root / layout.RAW_DVC).parent.mkdir(exist_ok=True)
    out = {"md5": f"{md5}.dir", "size": 1, "nfiles": 1, "hash": "md5", "path": "raw"}
    (root / layout.RAW_DVC).write_text(yaml.safe_dump({"outs": [out]}))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A clone whose origin has a commit with data version A."""
    origin = tmp_path / "origin"
    origin.mkdir()
    git(origin, "init", "-q", "-b", "main")
    name_version(origin, A)
    git(origin, "add", ".")
    git(origin, "commit", "-qm", "data")
    git(tmp_path, "clone", "-q", "origin", "project")
    return tmp_path / "project"


def test_a_fingerprint_follows_names_sizes_and_times(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "a").mkdir(parents=True)
    (source / "a" / "1.png").write_text("one")
    found = [new_data.fingerprint(source)]
    assert new_data.fingerprint(source) == found[0]
    (source / "a" / "1.png").write_text("longer")
    found.append(new_data.fingerprint(source))
    os.utime(source / "a" / "1.png", ns=(1, 1))
    found.append(new_data.fingerprint(source))
    (source / "a" / "1.png").rename(source / "a" / "2.png")
    found.append(new_data.fingerprint(source))
    (source / "a" / "2.png").unlink()
    found.append(new_data.fingerprint(source))
    assert len(set(found)) == 5
    (source / "images.zip").write_text("packed")
    assert new_data.fingerprint(source / "images.zip") not in found


def test_a_fingerprint_follows_links_as_adding_does(tmp_path: Path) -> None:
    source, linked = tmp_path / "source", tmp_path / "elsewhere" / "a"
    linked.mkdir(parents=True)
    source.mkdir()
    (linked / "1.png").write_text("one")
    (source / "a").symlink_to(linked)
    before = new_data.fingerprint(source)
    (linked / "2.png").write_text("two")
    assert new_data.fingerprint(source) != before
    (source / "@eaDir").mkdir()
    after = new_data.fingerprint(source)
    (source / "@eaDir" / "thumb.png").write_text("a NAS's own, which is never added")
    assert new_data.fingerprint(source) == after
    (linked / "back").symlink_to(source)
    with pytest.raises(DataError, match="loop"):
        new_data.fingerprint(source)


def test_a_fingerprint_of_a_table_follows_the_files_that_it_names(tmp_path: Path) -> None:
    table = tmp_path / "birds.csv"
    table.write_text("path,class\n1.png,a\n2.png,a\n")
    (tmp_path / "1.png").write_text("one")
    found = {new_data.fingerprint(table)}
    (tmp_path / "1.png").write_text("another")
    found.add(new_data.fingerprint(table))
    (tmp_path / "2.png").write_text("was missing")
    found.add(new_data.fingerprint(table))
    (tmp_path / "3.png").write_text("not in the table")
    assert new_data.fingerprint(table) in found and len(found) == 3


def test_a_source_that_vanished_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the source .*nowhere is not there .*name another with"):
        new_data.fingerprint(tmp_path / "nowhere")


def test_the_project_and_the_branch_have_a_version_each(project: Path) -> None:
    assert new_data.of_project(project) == A
    name_version(project, B)
    assert new_data.of_project(project) == B
    assert new_data.of_commit(project, "HEAD") == A


def test_what_is_pushed_to_a_remotes_branch_is_found(project: Path) -> None:
    origin = project.parent / "origin"
    name_version(origin, B)
    git(origin, "commit", "-qam", "more data")
    assert new_data.of_commit(project, "main") == A
    assert new_data.of_commit(project, "origin/main") == B


def test_a_commit_without_data_has_no_version(project: Path) -> None:
    git(project, "rm", "-q", layout.RAW_DVC.as_posix())
    git(project, "commit", "-qm", "none")
    assert new_data.of_commit(project, "HEAD") is None


def test_marks_of_a_merge_in_the_data_of_a_commit_are_told(project: Path) -> None:
    (project / layout.RAW_DVC).write_text("<<<<<<< ours\nouts:\n=======\nouts: []\n>>>>>>> theirs\n")
    git(project, "commit", "-qam", "unmerged")
    with pytest.raises(DataError, match="raw.dvc of HEAD is damaged .*; commit it again"):
        new_data.of_commit(project, "HEAD")


def test_a_remote_that_does_not_answer_is_told_in_one_line(project: Path) -> None:
    git(project, "remote", "set-url", "origin", str(project / "gone"))
    with pytest.raises(DataError, match=r"git fetch failed: .*; mend that, it is tried again"):
        new_data.of_commit(project, "origin/main")


def test_what_was_seen_is_kept_and_each_version_has_one_place(tmp_path: Path) -> None:
    assert new_data.read(tmp_path) == Seen()
    seen = Seen("f", ()).put(Version(A)).put(Version(B)).put(Version(A, attempt=2, run="r"))
    assert [version.md5 for version in seen.versions] == [A, B]
    assert seen.find(A) == Version(A, attempt=2, run="r")
    new_data.write(tmp_path, seen)
    assert new_data.read(tmp_path) == seen


def test_each_attempt_has_a_key_of_its_own() -> None:
    assert len({Version(A).key, Version(A, attempt=2).key, Version(B).key}) == 3


def test_a_damaged_memory_is_named(tmp_path: Path) -> None:
    new_data.write(tmp_path, Seen())
    (tmp_path / new_data.FILE).write_text("{")
    with pytest.raises(KshotError, match=r"new-data\.json is damaged"):
        new_data.read(tmp_path)
