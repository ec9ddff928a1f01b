"""The kshot version a project needs: the line `kshot: 0.1.0` that `kshot init` writes to params.yaml, if present."""

import re
from pathlib import Path

from kshot.errors import KshotError

LINE = re.compile(r"""^kshot:\s*["']?(\d+(?:\.\d+)*)""", re.MULTILINE)


def require_not_older(root: Path) -> None:
    """Raise KshotError if the installed kshot is older than the project at `root` needs."""
    try:
        found = LINE.search((root / "params.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return  # reported when the settings are read
    if found is None:
        return
    from importlib.metadata import version

    installed, needed = version("kshot"), found[1]
    if _numbers(installed) < _numbers(needed):
        raise KshotError(
            f"this project needs kshot {needed} (params.yaml), and {installed} is installed; upgrade it: "
            f"pip install 'kshot[pipeline]>={needed}'"
        )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])
