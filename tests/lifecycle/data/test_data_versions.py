"""Data versions with real DVC: equal images give equal versions, and a failed command changes none."""

import csv
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from kshot.errors import DataError
from kshot.lifecycle.data import data_versions, working_copy
from kshot.lifecycle.data.changes import add_version, restore
from kshot.lifecycle.data.data_versions import DataVersion
from kshot.lifecycle.project import layout
from kshot.lifecycle.retraining import steps
from tests.lifecycle.raw_project import files_below, image, make, write_tree, write_zip

CLASSES = {"ქართული/ანი": 2, "ქართული/two words": 1, "한글": 1}


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DataVersion, DataVersion]:
    """A project with two versions, the second one current; beside it the folder `source` of the first."""
    root = make(tmp_path_factory.mktemp("history") / "project")
    source = write_tree(root.parent / "source", CLASSES)
    (source / "한글" / "odd name 😀").write_bytes(image("odd"))
    first = add_version.add(root, str(source), add_version.AddOptions(note="the first"))
    grown = root.parent / "grown"
    shutil.copytree(source, grown)
    write_tree(grown, {"new": 2})
    (grown / "한글" / "0.png").write_bytes(image("changed"))
    return root, first, add_version.add(root, str(grown))


@pytest.fixture
def project(history: tuple[Path, DataVersion, DataVersion], tmp_path: Path) -> Path:
    """A copy of that project, to change."""
    shutil.copytree(history[0].parent, tmp_path / "copy")
    return tmp_path / "copy" / "project"


def kept(root: Path) -> dict[str, bytes]:
    """Everything below data/, which is what a failure must leave alone."""
    return files_below(root / "data")


def test_what_is_added_is_described(history: tuple[Path, DataVersion, DataVersion]) -> None:
    _, first, second = history
    assert (first.images, first.classes, first.files) == (5, 3, 6)
    assert (first.source, first.note) == ("source", "the first")
    assert (second.images, second.classes) == (7, 4)
    assert len(first.md5) == 32
    assert first.short == first.md5[:8]
    assert first.added <= second.added


def test_the_bytes_of_each_image_are_kept_and_the_manifest_names_them(project: Path) -> None:
    raw_folder = project / layout.RAW
    assert (raw_folder / "images/한글/odd name 😀").read_bytes() == image("odd")
    assert (raw_folder / "images/ქართული/ანი/1.png").read_bytes() == image("ქართული/ანი/1")
    with (raw_folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["path", "class", "group", "split"]
    paths = [row[0] for row in rows]
    assert paths == sorted(paths)
    assert set(paths) == files_below(raw_folder).keys() - {"manifest.csv"}
    assert ["images/ქართული/two words/0.png", "ქართული/two words", "ქართული", ""] in rows


def test_the_version_is_what_dvc_says(history: tuple[Path, DataVersion, DataVersion]) -> None:
    root, _, second = history
    assert f"md5: {second.md5}.dir" in (root / layout.RAW_DVC).read_text()
    assert data_versions.current(root) == second


def test_versions_come_oldest_first_and_are_found_by_their_start(
    history: tuple[Path, DataVersion, DataVersion],
) -> None:
    root, first, second = history
    assert data_versions.versions(root) == [first, second]
    assert data_versions.find(root, first.short) == first
    assert data_versions.find(root, second.md5) == second
    with pytest.raises(DataError, match=f"'nope' is no data version here; .*{first.short}, {second.short}"):
        data_versions.find(root, "nope")
    with pytest.raises(DataError, match="'' is no data version"):
        data_versions.find(root, "")


def test_a_project_without_data_says_so(tmp_path: Path) -> None:
    assert data_versions.current(tmp_path) is None
    assert data_versions.versions(tmp_path) == []
    with pytest.raises(DataError, match="there is none yet; `kshot data add SOURCE` makes one"):
        data_versions.find(tmp_path, "0123")


def test_two_versions_are_compared_by_content(history: tuple[Path, DataVersion, DataVersion]) -> None:
    found = data_versions.diff(*history)
    assert found.classes_added == ("new",)
    assert found.images_added == ("images/new/0.png", "images/new/1.png")
    assert found.images_changed == ("images/한글/0.png",)
    assert (found.images_removed, found.images_moved, found.classes_removed) == ((), (), ())


def test_the_same_images_from_an_archive_are_the_same_version(
    project: Path, history: tuple[Path, DataVersion, DataVersion]
) -> None:
    archive = write_zip(project.parent / "a.zip", files_below(project.parent / "source"))
    ledger = (project / layout.VERSIONS).read_bytes()
    assert add_version.add(project, str(archive), add_version.AddOptions(note="another word")) == history[1]
    assert (project / layout.VERSIONS).read_bytes() == ledger
    assert data_versions.current(project) == history[1]


def test_a_split_table_makes_another_version(project: Path) -> None:
    table = project.parent / "split.csv"
    table.write_text("class,split\nქართული/ანი,train\nქართული/two words,val\n한글,test\n", encoding="utf-8")
    version = add_version.add(project, str(project.parent / "source"), add_version.AddOptions(split=table))
    assert version.md5 not in {known.md5 for known in data_versions.versions(project)[:-1]}
    manifest = pd.read_csv(project / layout.RAW / "manifest.csv", keep_default_na=False)
    assert set(zip(manifest["class"], manifest["split"], strict=True)) == {
        ("ქართული/ანი", "train"),
        ("ქართული/two words", "val"),
        ("한글", "test"),
    }


def test_checkout_brings_a_version_back(project: Path, history: tuple[Path, DataVersion, DataVersion]) -> None:
    restore.checkout(project, history[1])
    assert data_versions.current(project) == history[1]
    assert (project / layout.RAW / "images/한글/0.png").read_bytes() == image("한글/0")
    assert not (project / layout.RAW / "images/new").exists()
    before = kept(project)
    restore.checkout(project, history[1])
    assert kept(project) == before


def test_neither_checkout_nor_add_drops_a_change_that_nobody_added(
    project: Path, history: tuple[Path, DataVersion, DataVersion]
) -> None:
    (project / layout.RAW / "images/new/mine.png").write_bytes(b"mine")
    before = kept(project)
    with pytest.raises(DataError, match="changes that are in no data version, .*; move it away"):
        restore.checkout(project, history[1])
    with pytest.raises(DataError, match="data/raw holds changes that are in no data version"):
        add_version.add(project, str(project.parent / "source"))
    assert kept(project) == before


def test_after_a_change_of_branch_nothing_is_unsaved(
    project: Path, history: tuple[Path, DataVersion, DataVersion]
) -> None:
    pointer = project / layout.RAW_DVC
    of_second = pointer.read_text()
    restore.checkout(project, history[1])
    pointer.write_text(of_second)  # what git leaves of the other branch, beside the images of this one
    restore.checkout(project, history[1])
    assert data_versions.current(project) == history[1]
    assert (project / layout.RAW / "images/한글/0.png").read_bytes() == image("한글/0")


def test_a_retraining_after_a_change_of_branch_is_refused_with_the_restore_that_loses_nothing(
    project: Path, history: tuple[Path, DataVersion, DataVersion]
) -> None:
    _, first, second = history
    of_second = (project / layout.RAW_DVC).read_text()
    restore.checkout(project, first)
    assert steps.ready_data(project) == first
    (project / layout.RAW_DVC).write_text(of_second)
    advice = f"holds data version {first.short}, and .* names data version {second.short}, .*; bring that with `kshot "
    with pytest.raises(DataError, match=f"{advice}data restore {second.short}`, {first.short} stays in DVC's"):
        steps.ready_data(project)
    assert restore.checkout(project, data_versions.find(project, second.short))
    assert steps.ready_data(project) == second and not restore.checkout(project, second)
    assert (project / layout.RAW / "images/한글/0.png").read_bytes() == image("changed")


def test_a_retraining_of_changes_by_hand_is_refused_and_they_can_be_moved_away(
    project: Path, history: tuple[Path, DataVersion, DataVersion]
) -> None:
    (project / layout.RAW / "images/new/mine.png").write_bytes(b"mine")
    with pytest.raises(DataError, match=f"in no data version, .*; move .* `kshot data restore {history[2].short}`"):
        steps.ready_data(project)
    (project / layout.RAW).rename(project / "moved")
    assert restore.checkout(project, history[2])
    assert steps.ready_data(project) == history[2]


def test_checkout_of_content_that_is_not_to_be_had_changes_nothing(project: Path) -> None:
    before = kept(project)
    lost = DataVersion("0" * 32, "", 1, 1, 1, 1, "a folder", "")
    with pytest.raises(
        DataError, match="data version 00000000 is neither in DVC's cache nor in a remote; it came from a folder"
    ):
        restore.checkout(project, lost)
    assert kept(project) == before


def test_what_was_added_by_dvc_itself_is_a_version_too(project: Path) -> None:
    shutil.rmtree(project / layout.RAW / "images/new")
    manifest = project / layout.RAW / "manifest.csv"
    lines = manifest.read_text(encoding="utf-8").splitlines(keepends=True)
    manifest.write_text("".join(line for line in lines if "images/new" not in line), encoding="utf-8")
    working_copy.dvc(project, "add", "--quiet", str(layout.RAW))
    here = data_versions.current(project)
    assert here is not None
    assert (here.images, here.classes, here.note) == (5, 3, "")
    assert data_versions.find(project, here.short) == here


def test_files_of_one_name_in_one_class_are_both_kept(tmp_path: Path) -> None:
    root = make(tmp_path / "project")
    write_tree(tmp_path, {"x": 1, "y": 1, "z": 1})
    (tmp_path / "m.csv").write_text("path,class\nx/0.png,a\ny/0.png,a\nz/0.png,b\n")
    assert add_version.add(root, str(tmp_path / "m.csv")).images == 3
    found = files_below(root / layout.RAW / "images")
    assert found == {"a/0.png": image("x/0"), "a/0-2.png": image("y/0"), "b/0.png": image("z/0")}


def test_the_built_in_set_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(folder: Path, seed: int = 0) -> None:
        write_tree(folder, {f"Greek/letter {seed}": 2, "Greek/other": 1})

    monkeypatch.setattr("kshot.glyphs.draw.draw", draw)  # all of it takes long, and has tests of its own
    root = make(tmp_path / "project")
    version = add_version.add(root, "glyphs", add_version.AddOptions(seed=7))
    assert (version.source, version.images) == ("glyphs", 3)
    assert (root / layout.RAW / "images/Greek/letter 7/1.png").exists()


def test_a_class_that_dvc_would_ignore_is_refused(tmp_path: Path) -> None:
    root = make(tmp_path / "project")
    source = write_tree(tmp_path / "source", {"a": 1, "mlruns": 1})
    with pytest.raises(DataError, match="DVC tracks 2 of 3 files; needs all"):
        add_version.add(root, str(source))
    assert data_versions.current(root) is None
    assert not (root / layout.RAW).exists()


def test_the_raw_data_added_again_keeps_groups_split_and_drawers(project: Path) -> None:
    rows = "path,class,group,split,drawer\n" + "\n".join(
        f"{project.parent}/source/{name}/0.png,{name},of its own,{split},Ada"
        for name, split in zip(CLASSES, ("train", "val", "test"), strict=True)
    )
    (project.parent / "m.csv").write_text(rows, encoding="utf-8")
    version = add_version.add(project, str(project.parent / "m.csv"))
    assert ",of its own,train,Ada" in (project / layout.RAW / "manifest.csv").read_text(encoding="utf-8")
    assert add_version.add(project, str(project / layout.RAW)) == version


def test_what_is_left_out_is_told_and_much_of_it_needs_consent(project: Path) -> None:
    source = write_tree(project.parent / "some", {"a": 2, "b": 2, "c": 1})
    (source / "b" / "0.png").write_text("no image")
    (source / "b" / "1.png").write_bytes(image("cut", 100, 100)[:2000])
    before, heard = kept(project), []
    with pytest.raises(DataError, match=r"2 of 5 files are left out .*; class b comes out empty; .*some --skip`"):
        add_version.add(project, str(source), say=heard.append)
    assert kept(project) == before
    assert heard[0] == "left out 2 of 5 files:"
    assert heard[-1] == "class b comes out empty"
    assert add_version.add(project, str(source), add_version.AddOptions(skip=True)).images == 3


def test_a_split_without_a_class_is_told_at_once(project: Path) -> None:
    source = write_tree(project.parent / "parts", {"train/a": 1, "train/b": 1, "test/c": 1})
    heard: list[str] = []
    add_version.add(project, str(source), say=heard.append)
    assert "no class is in val: `kshot retrain` draws some from train's" in heard[-1]
    (source / "train").rename(source / "val")
    with pytest.raises(DataError, match="no class is in split train"):
        add_version.add(project, str(source))


def test_the_two_ways_to_write_a_files_name_are_one_version(tmp_path: Path) -> None:
    found = []
    for number, name in enumerate(("\u00e9.png", "e\u0301.png")):
        root = make(tmp_path / str(number))
        source = tmp_path / f"source{number}"
        write_tree(source, {"a": 0, "b": 1})
        (source / "a").mkdir(exist_ok=True)
        (source / "a" / name).write_bytes(image("a"))
        found.append(add_version.add(root, str(source)).md5)
    assert found[0] == found[1]


@pytest.mark.parametrize(
    "bad", ["nowhere", "empty", "evil.zip", "bomb.zip", "nowhere.csv", "", "no image", "../project"]
)
def test_a_bad_source_leaves_the_version_as_it_was(project: Path, bad: str) -> None:
    folder = project.parent
    (folder / "empty").mkdir()
    write_zip(folder / "evil.zip", {"a/1.png": b"", "../../evil.png": b""})
    write_zip(folder / "bomb.zip", {"a/1.png": bytes(8 * 2**20)})
    (folder / "nowhere.csv").write_text("path,class\nnowhere.png,a\n")
    (folder / "no image" / "a").mkdir(parents=True)
    (folder / "no image" / "a" / "1.png").write_bytes(image("cut", 100, 100)[:2000])
    before = kept(project)
    with pytest.raises(DataError):
        add_version.add(project, str(folder / bad) if bad else "", add_version.AddOptions(skip=True))
    assert kept(project) == before


@pytest.mark.parametrize("kind", ["folder", "manifest"])
@pytest.mark.parametrize("change", ["goes", "grows", "comes"])
def test_a_source_that_changes_while_it_is_read_is_refused(project: Path, kind: str, change: str) -> None:
    source, before = project.parent / "source", kept(project)
    files = sorted(path.relative_to(source).as_posix() for path in source.rglob("*.png"))
    table = source.parent / "table.csv"
    table.write_text("path,class\n" + "".join(f"source/{name},{name[0]}\n" for name in [*files, files[0]]))

    def meanwhile(line: str) -> None:
        if change == "goes":
            (source / files[-1]).unlink(missing_ok=True)
        elif change == "grows":
            (source / files[-1]).write_bytes(image("other") + b"more")
        elif kind == "folder":
            (source / "한글" / "late.png").write_bytes(image("late"))
        else:
            table.write_text(table.read_text() + f"source/{files[0]},late\n")

    (source / "한글" / "no image.txt").write_text("")  # said before the images are copied, as the row that stands twice
    given = source if kind == "folder" else table
    with pytest.raises(DataError, match=r"changed while it was read, .* run the same command when it is complete$"):
        add_version.add(project, str(given), add_version.AddOptions(skip=True), say=meanwhile)
    assert kept(project) == before


def test_a_damaged_ledger_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / layout.VERSIONS).write_text('{"md5": "00')
    with pytest.raises(DataError, match="versions.jsonl is damaged .*; take it from git again"):
        data_versions.versions(tmp_path)


def command(root: Path, *arguments: str, largest: int | None = None) -> subprocess.Popen[str]:
    """The command line as a person runs it, in a process group of its own; no file may become larger than `largest`."""

    def limit() -> None:
        if largest is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    return subprocess.Popen(
        [sys.executable, "-m", "kshot.cli", *arguments],
        cwd=root,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=limit,
    )


def test_a_full_disk_is_one_line_and_leaves_the_version_as_it_was(project: Path) -> None:
    """A limit on the size of a file, which any user may set, stands for the disk: the same call fails."""
    large = project.parent / "source" / "한글" / "large.png"
    large.write_bytes(image("large") + bytes(8_000_000))  # what stands behind an image's end is no part of it
    before = kept(project)
    ended = command(project, "data", "add", "../source", largest=4_000_000)
    _, said = ended.communicate(timeout=120)
    assert ended.returncode == 1
    assert said.startswith("kshot: error: ")
    assert "large.png" in said
    assert said.count("\n") == 1
    assert kept(project) == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_a_stop_in_the_middle_leaves_the_version_as_it_was(project: Path, number: int, code: int) -> None:
    before = kept(project)
    running = command(project, "data", "add", "../source")
    deadline = time.monotonic() + 120
    while not (project / working_copy.JOURNAL / layout.RAW.name).exists():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.001)
    os.killpg(running.pid, number)
    _, said = running.communicate(timeout=120)
    assert running.returncode == code
    if number == signal.SIGKILL:
        assert kept(project) != before  # nobody was there to tidy up
        working_copy.mend(project)  # what every `add` and `checkout` begins with
    else:
        assert "interrupted" in said
        assert said.count("\n") == 1
    assert kept(project) == before
    assert json.loads(working_copy.dvc(project, "status", "--json", str(layout.RAW_DVC))) == {}
