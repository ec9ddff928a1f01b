"""The stored settings of `kshot schedule`: when retrainings start, in .kshot/schedule.json."""

import dataclasses
import difflib
import json
import re
import zoneinfo
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from kshot.errors import KshotError
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import write_text

FILE = layout.STATE / "schedule.json"
CRON, EVERY, NEW_DATA = "cron", "every", "new-data"  # the three triggers, by the names used to pause them
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
SHORTEST_S = 10.0  # how often Prefect's runner looks for runs that are due


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The triggers of a retraining and how each one is run; None or False: not used.

    every_s     counts from `since` (UTC, ISO 8601), so that a restart does not shift it
    source      None with new_data watches the project's own data version
    ref         None uses the commit that is checked out, with the project's data version
    if_drifted  the content of `source` is added and retrained only if `kshot drift` reports drift
    extend      the content of `source` is added to the images of the current data version; otherwise it replaces them
    """

    cron: str | None
    every_s: float | None
    new_data: bool
    source: str | None
    poll_s: float
    timezone: str
    catch_up: Literal["once", "never"]
    overlap: Literal["wait", "skip"]
    ref: str | None
    data: str | None
    settings: tuple[str, ...]
    since: str
    paused: tuple[str, ...] = ()
    if_drifted: bool = False
    extend: bool = False

    def names(self) -> tuple[str, ...]:
        """Which of the three triggers are used."""
        used = {CRON: self.cron is not None, EVERY: self.every_s is not None, NEW_DATA: self.new_data}
        return tuple(name for name, is_used in used.items() if is_used)


def read(root: Path) -> Schedule | None:
    """The schedule of the project, None if there is none. Raises KshotError for a damaged file."""
    path = root / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Schedule(**{**content, "settings": tuple(content["settings"]), "paused": tuple(content["paused"])})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise KshotError(
            f"{path} is damaged ({error}); remove it and give `kshot schedule` its options again"
        ) from error


def write(root: Path, schedule: Schedule) -> None:
    """Write the schedule atomically."""
    write_text(root / FILE, json.dumps(dataclasses.asdict(schedule), indent=2) + "\n")


def without(schedule: Schedule, name: str) -> Schedule:
    """The schedule without one of its triggers."""
    new_data = {"new_data": False, "source": None, "if_drifted": False, "extend": False}
    gone = {CRON: {"cron": None}, EVERY: {"every_s": None}, NEW_DATA: new_data}[name]
    paused = tuple(other for other in schedule.paused if other != name)
    return dataclasses.replace(schedule, paused=paused, **gone)  # type: ignore[arg-type]


def pause(schedule: Schedule, names: tuple[str, ...], paused: bool) -> Schedule:
    """The schedule with `names` paused or resumed."""
    others = tuple(name for name in schedule.paused if name not in names)
    return dataclasses.replace(schedule, paused=(*others, *names) if paused else others)


def seconds(text: str) -> float:
    """A duration such as 6h, 90m, 30s, 1d or 1h30m in seconds. Raises KshotError."""
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhdw])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise KshotError(f"{text!r} is no duration; write it like 30s, 90m, 6h, 1d or 1h30m")
    return sum(float(number) * SECONDS[unit] for number, unit in parts)


def duration(value: float) -> str:
    """Seconds in the notation of `seconds`: 5400 is 1h30m."""
    left, text = round(value), ""
    for unit in ("d", "h", "m", "s"):
        number, left = divmod(left, SECONDS[unit])
        text += f"{number}{unit}" if number else ""
    return text or "0s"


def need_zone(name: str) -> str:
    """`name` itself if it is a time zone. Raises KshotError."""
    known = zoneinfo.available_timezones() - {"localtime"}  # which means another zone on another machine
    if name not in known:
        by_small = {one.lower(): one for one in known}
        near = difflib.get_close_matches(name.lower(), by_small, 1, 0.8)
        hint = f"did you mean {by_small[near[0]]}?" if near else "needs a name such as UTC, Europe/Berlin or Asia/Seoul"
        raise KshotError(f"{name!r} is no time zone; {hint}")
    return name


def now() -> str:
    """This moment in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
