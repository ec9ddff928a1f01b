"""Finds schedules, planned runs and Prefect's records in .kshot that were written by a project in another folder."""

import time
from pathlib import Path

from kshot.errors import KshotError
from kshot.lifecycle.doctor.finding import Finding
from kshot.lifecycle.pipeline import new_data, schedule
from kshot.lifecycle.project import layout, no_telemetry, project_lock, state_place

CHECK = "place"


def findings(root: Path) -> list[Finding]:
    """Find state of another place. Raises KshotError if the record of the place is damaged."""
    was = state_place.elsewhere(root)
    if was is None:
        return []
    return [
        Finding(
            CHECK,
            state_place.sentence(was),
            "a state of its own",
            "kshot doctor --mend",
            by_itself=lambda: adopt(root),
        )
    ]


def adopt(root: Path) -> str:
    """Set aside the other place's state and record this place. Returns a description; safe to repeat after a kill.

    Prefect's records name the other place, so they are set aside. For a project that was moved, the schedule stays, and
    so does the record of new data: a version whose run was in the records is started again. For a copy, both are set
    aside, too. Raises Busy while another command works here.
    """
    with (
        project_lock.hold(root, "kshot doctor --mend"),
        project_lock.hold(root, "kshot doctor --mend", project_lock.SERVING),
    ):
        was = state_place.elsewhere(root)
        if was is None:
            return "the schedule and planned runs are of this place already"
        copied = state_place.is_copy(was)
        identity = "" if copied else state_place.recorded_identity(root)
        names = [no_telemetry.PREFECT_HOME, *((schedule.FILE, new_data.FILE) if copied else ())]
        aside = root / layout.STATE / f"of-another-place-{time.strftime('%Y%m%dT%H%M%S')}"
        try:
            aside.mkdir(mode=0o700, exist_ok=True)
            found = [name for name in names if (root / name).exists()]
            for name in found:
                (root / name).rename(aside / name.name)
            (root / state_place.FILE).unlink()
            state_place.remember(root, identity)
        except OSError as error:
            raise KshotError(f"{error.filename} could not be set aside ({error.strerror}); mend that, again") from error
    rest = "`kshot schedule` with its options begins one of this project" if copied else "the schedule stays"
    return f"{', '.join(map(str, found)) or 'nothing'} of {was} set aside in {aside.relative_to(root)}; {rest}"
