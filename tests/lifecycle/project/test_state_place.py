"""The state in .kshot belongs to the folder that wrote it: a copied or moved project is refused, and writes nothing."""

import json
import shutil
from pathlib import Path

import pytest

from kshot import cli
from kshot.errors import KshotError
from kshot.lifecycle.pipeline import schedule
from kshot.lifecycle.project import no_telemetry, state_place
from kshot.lifecycle.retraining.standing import standing
from tests.lifecycle import raw_project
from tests.lifecycle.pipeline.test_schedule import ALL
from tests.lifecycle.raw_project import files_below


@pytest.fixture
def original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a schedule, in which Prefect has been used."""
    for name in ("PREFECT_HOME", "PREFECT_API_URL", "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"):
        monkeypatch.setenv(name, "to be restored")
        monkeypatch.delenv(name)
    root = raw_project.make(tmp_path / "original")
    no_telemetry.keep_prefect_in(root)
    schedule.write(root, ALL)
    monkeypatch.delenv("PREFECT_HOME")
    return root


def test_at_its_place_nothing_is_said_nor_through_a_link_to_it(original: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(original)
    for root in (original, tmp_path / "link", tmp_path / "new"):
        assert state_place.elsewhere(root) is None
    state_place.require_here(original)


COMMANDS = [
    ["retrain", "--set", "train.steps=1"],
    ["schedule", "--every", "6h"],
    ["schedule", "pause"],
    ["schedule", "list"],
    ["ui"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_copy_is_told_before_a_byte_is_written(
    original: Path,
    tmp_path: Path,
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    copy = Path(shutil.copytree(original, tmp_path / "copy"))
    before = files_below(copy)
    monkeypatch.chdir(copy)
    assert cli.main(command) != 0
    assert f"copied from {original}, and the schedule and planned runs" in capsys.readouterr().err
    assert files_below(copy) == before


def test_a_moved_project_is_told_and_where_it_stands_names_the_step(original: Path, tmp_path: Path) -> None:
    moved = original.rename(tmp_path / "moved")
    with pytest.raises(KshotError, match=f"moved from {original}, .*kshot doctor --mend` repairs them"):
        no_telemetry.keep_prefect_in(moved)
    found = standing(moved)
    assert found.steps[0][0] == "kshot doctor --mend"
    assert dict(found.facts)["schedule"] == f"of {original}, from where this project came"


def test_a_damaged_note_is_named(original: Path) -> None:
    (original / state_place.FILE).write_text(json.dumps(["x"]))
    with pytest.raises(KshotError, match=r"place.json is damaged .*; delete it"):
        state_place.require_here(original)
