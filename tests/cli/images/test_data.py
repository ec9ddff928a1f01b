"""`kshot data add` from a person's view: its output, its refusals and their exit codes."""

from pathlib import Path

import pytest

from kshot import cli
from kshot.lifecycle.data import data_versions
from tests.lifecycle import raw_project


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = raw_project.make(tmp_path / "root")
    monkeypatch.chdir(made)
    return made


def test_what_is_left_out_is_printed_and_skip_agrees_to_it(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = raw_project.write_tree(tmp_path / "birds of mine", {"robin": 2, "wren": 1, "phone": 1})
    (source / "phone" / "0.png").write_text("no image")
    assert cli.main(["data", "add", str(source)]) == 3
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "left out 1 of 4 files:",
        "  1 .png: no image",
        "    phone/0.png",
        "class phone comes out empty",
    ]
    assert f"`kshot data add '{source}' --skip`" in printed.err
    assert data_versions.current(root) is None
    assert cli.main(["data", "add", str(source), "--skip"]) == 0
    assert "3 images, 2 classes from birds of mine" in capsys.readouterr().out


def test_a_source_of_one_class_is_refused_because_nothing_can_be_told_apart(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["data", "add", str(raw_project.write_tree(tmp_path / "birds", {"robin": 1}))]) == 3
    assert "birds has one class, 'robin'; few-shot episodes need at least 2" in capsys.readouterr().err
    assert data_versions.current(root) is None


def test_an_unset_variable_is_no_source(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data", "add", ""]) == 3
    assert "no source is given" in capsys.readouterr().err
    assert not (root / "data" / "raw").exists()


def test_images_that_were_added_before_are_named_by_their_first_source(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = raw_project.write_tree(tmp_path / "birds", {"robin": 2, "wren": 2})
    other = raw_project.write_tree(tmp_path / "more", {"robin": 2, "wren": 2, "owl": 1})
    archive = raw_project.write_zip(tmp_path / "again.zip", raw_project.files_below(first))
    for source in (first, other, archive):
        assert cli.main(["data", "add", str(source)]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("data version")]
    assert told[0].endswith(": 4 images, 2 classes from birds")
    assert told[2] == told[0].replace(" from birds", ", first added from birds; current again")


def test_what_a_source_replaces_is_counted(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = raw_project.write_tree(tmp_path / "birds", {"robin": 2, "wren": 3, "owl": 1})
    less = raw_project.write_tree(tmp_path / "less", {"robin": 2, "wren": 1})
    for source in (first, less, first):
        assert cli.main(["data", "add", str(source)]) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("a source replaces")]
    assert len(said) == 1  # nothing is lost when the whole comes back
    assert "whole: 3 images and 1 class of version " in said[0]


def test_an_extension_counts_what_was_there_and_what_came(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = raw_project.write_tree(tmp_path / "birds", {"robin": 2, "wren": 3, "jay": 1})
    more = raw_project.write_tree(tmp_path / "more", {"wren": 4, "owl": 2})
    assert cli.main(["data", "add", str(first)]) == 0
    assert cli.main(["data", "add", str(more), "--extend"]) == 0
    assert "3 .png: in the data already" in (printed := capsys.readouterr().out)
    assert "1 new class: in " in printed  # by the letters' settings
    assert "6 images and 3 classes were there" in printed and "3 images and 1 class came" in printed
    assert cli.main(["data", "add", str(more), "--extend"]) == 0
    assert "are the current version already, nothing changed" in capsys.readouterr().out


def test_the_name_of_a_source_moves_no_cursor(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = raw_project.write_tree(tmp_path / "birds\n\x1b[2J", {"robin": 2, "wren": 2})
    assert cli.main(["data", "add", str(source)]) == 0
    assert cli.main(["data", "versions"]) == 0
    told = capsys.readouterr().out
    assert "\x1b" not in told and len([line for line in told.splitlines() if "birds" in line]) == 2
