"""Schedules and planned runs of a copied or moved project: found and set aside, with the original unchanged."""

import fcntl
import shutil
from pathlib import Path

import pytest

from kshot.errors import Busy
from kshot.lifecycle.doctor import copied_state, scheduling
from kshot.lifecycle.pipeline import new_data, schedule
from kshot.lifecycle.project import no_telemetry, project_lock, state_place
from tests.lifecycle.pipeline.test_schedule import ALL
from tests.lifecycle.raw_project import files_below

SEEN = new_data.Seen("f", (new_data.Version("a", run="of the other place"),))


@pytest.fixture
def original(tmp_path: Path) -> Path:
    root = tmp_path / "original"
    (root / no_telemetry.PREFECT_HOME).mkdir(parents=True)
    (root / no_telemetry.PREFECT_HOME / "prefect.db").write_text("planned runs")
    schedule.write(root, ALL)
    new_data.write(root, SEEN)
    state_place.remember(root)
    return root


def test_a_project_at_its_place_is_well(original: Path, tmp_path: Path) -> None:
    assert copied_state.findings(original) == [] == copied_state.findings(tmp_path)
    assert copied_state.adopt(original) == "the schedule and planned runs are of this place already"
    assert schedule.read(original) == ALL


def test_a_copy_gets_a_state_of_its_own_and_the_original_keeps_its(original: Path, tmp_path: Path) -> None:
    before, copy = files_below(original), Path(shutil.copytree(original, tmp_path / "copy"))
    (finding,) = copied_state.findings(copy)
    assert finding.must and scheduling.findings(copy) == []  # told once
    assert finding.by_itself is not None
    done = finding.by_itself()
    assert "prefect, .kshot/schedule.json, .kshot/new-data.json of" in done and "begins one of this project" in done
    assert copied_state.findings(copy) == [] and schedule.read(copy) is None and new_data.read(copy) == new_data.Seen()
    assert not (copy / no_telemetry.PREFECT_HOME).exists()
    (aside,) = (copy / ".kshot").rglob("prefect.db")
    assert aside.read_text() == "planned runs"
    assert files_below(original) == before


def test_a_moved_project_keeps_its_schedule_and_what_it_knows_of_new_data(original: Path, tmp_path: Path) -> None:
    moved = original.rename(tmp_path / "moved")
    assert copied_state.adopt(moved).endswith("the schedule stays")
    assert copied_state.findings(moved) == []
    assert (schedule.read(moved), new_data.read(moved)) == (ALL, SEEN)
    assert not (moved / no_telemetry.PREFECT_HOME).exists()


def test_nothing_is_set_aside_under_who_works_here(original: Path, tmp_path: Path) -> None:
    moved = original.rename(tmp_path / "moved")
    with (moved / project_lock.SERVING).open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(Busy):
            copied_state.adopt(moved)
    assert (moved / no_telemetry.PREFECT_HOME / "prefect.db").exists()
