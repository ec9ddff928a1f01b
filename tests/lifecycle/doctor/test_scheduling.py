"""A stored schedule that no process serves."""

from pathlib import Path

from kshot.lifecycle.doctor import scheduling
from kshot.lifecycle.pipeline import schedule
from kshot.lifecycle.project import project_lock
from tests.lifecycle.pipeline.test_schedule import ALL


def test_a_schedule_that_nobody_serves_is_told(tmp_path: Path) -> None:
    assert scheduling.findings(tmp_path) == []
    schedule.write(tmp_path, ALL)
    (finding,) = scheduling.findings(tmp_path)
    assert finding.must and "cron, every, new-data is scheduled in .kshot/schedule.json" in finding.found
    assert "no process serves it" in finding.found and finding.mend.startswith("kshot schedule, under systemd")


def test_one_that_is_served_or_paused_as_a_whole_is_well(tmp_path: Path) -> None:
    schedule.write(tmp_path, ALL)
    with project_lock.hold(tmp_path, "kshot schedule", project_lock.SERVING):
        assert scheduling.findings(tmp_path) == []
    schedule.write(tmp_path, schedule.pause(ALL, ALL.names(), True))
    assert scheduling.findings(tmp_path) == []
