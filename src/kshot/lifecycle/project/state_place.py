"""Records where the folder .kshot was written: schedules, planned runs and Prefect's records belong to that project.

A copied project (`cp -a`) has them, too. Used there, they would start the original's retrainings or stop its server.
"""

import json
from pathlib import Path

from kshot.errors import KshotError
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import write_text

FILE = layout.STATE / "place.json"


def remember(root: Path) -> None:
    """Record that the state of the project at `root` is written here, unless a place is already recorded."""
    if not (root / FILE).exists():
        write_text(root / FILE, json.dumps({"project": str(root.resolve())}) + "\n")


def elsewhere(root: Path) -> Path | None:
    """The folder that the state was written in, if it is not `root`. Raises KshotError."""
    try:
        was = Path(json.loads((root / FILE).read_text(encoding="utf-8"))["project"])
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise KshotError(f"{root / FILE} is damaged ({error}); delete it") from error
    try:
        same = was.samefile(root)  # the same folder may be mounted twice
    except OSError:
        same = False
    return None if same else was


def is_copy(was: Path) -> bool:
    """Whether the project that wrote the state is still where it was."""
    try:
        return (was / FILE).exists()
    except OSError:
        return False


def sentence(was: Path) -> str:
    """What happened to the project, for a message."""
    how = "copied" if is_copy(was) else "moved"
    return f"this project was {how} from {was}, and the schedule and planned runs in {layout.STATE} are of that place"


def require_here(root: Path) -> None:
    """Raise KshotError if the state was written by the project at another place."""
    was = elsewhere(root)
    if was is not None:
        raise KshotError(f"{sentence(was)}; `kshot doctor --mend` sets them right, nothing was written before")
