"""Records where the folder .kshot was written: schedules, planned runs and Prefect's records belong to that project.

A copied project (`cp -a`) has them, too. Used there, they would start the original's retrainings or stop its server.
"""

import json
import secrets
from pathlib import Path

from kshot.errors import KshotError
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import write_text

FILE = layout.STATE / "place.json"


def remember(root: Path, identity: str = "") -> None:
    """Record that the state of the project at `root` is written here, unless a place is already recorded.

    `identity`: the one that a moved project had; '' gives the state a new one.
    """
    if not (root / FILE).exists():
        _write(root, identity or secrets.token_hex(6))


def identity(root: Path) -> str:
    """The identity of this state, which a moved project keeps and no copy or clone has. Raises KshotError.

    It is recorded if it is not yet: older versions of kshot recorded the place alone.
    """
    remember(root)
    if not (found := recorded_identity(root)):
        _write(root, found := secrets.token_hex(6))
    return found


def recorded_identity(root: Path) -> str:
    """The identity that is recorded in the project at `root`, '' if there is none. Raises KshotError."""
    return str(_read(root).get("id", ""))


def _write(root: Path, identity: str) -> None:
    write_text(root / FILE, json.dumps({"project": str(root.resolve()), "id": identity}) + "\n")


def _read(root: Path) -> dict[str, str]:
    """The record, empty if there is none. Raises KshotError."""
    try:
        found = json.loads((root / FILE).read_text(encoding="utf-8"))
        return {"project": str(found["project"]), **found}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError) as error:
        raise KshotError(f"{root / FILE} is damaged ({error}); delete it") from error


def elsewhere(root: Path) -> Path | None:
    """The folder that the state was written in, if it is not `root`. Raises KshotError."""
    found = _read(root)
    if not found:
        return None
    was = Path(found["project"])
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
    """Whether the project was copied or moved, as a sentence for a message."""
    how = "copied" if is_copy(was) else "moved"
    return f"this project was {how} from {was}, and the schedule and planned runs in {layout.STATE} are of that place"


def require_here(root: Path) -> None:
    """Raise KshotError if the state was written by the project at another place."""
    was = elsewhere(root)
    if was is not None:
        raise KshotError(f"{sentence(was)}; `kshot doctor --mend` repairs them; nothing has been written yet")
