"""How to restore a data version whose content is in neither DVC's cache nor its remote."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from kshot.lifecycle.data import working_copy
from kshot.lifecycle.data.dvc_cache import locate
from kshot.lifecycle.project.broken import Broken
from kshot.lifecycle.source_files.shown_names import printable
from kshot.lifecycle.sources.source_argument import GLYPHS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kshot.lifecycle.data.data_versions import DataVersion

FEEDBACK = "feedback"  # the source of a version that `kshot feedback add-data` made
ERASED = re.compile(r"[0-9a-f]{8} without .* erased image")  # the note of one that `kshot forget` made


def way_back(root: Path, known: "Sequence[DataVersion]", md5: str) -> str:
    """Where data version `md5` came from, and the commands that add it again, in order.

    known   the versions of the ledger; one that was made from another, its base, needs that one first
    """
    by_md5 = {one.md5: one for one in known}
    version = by_md5.get(md5)
    if working_copy.is_whole(root, md5):
        return f"data/raw still has it, and `kshot data restore {md5[:8]}` stores it again"
    if version is None:
        return "it came from a source that is not in the ledger"
    lost, base = [version], by_md5.get(version.base)
    while base is not None and not _is_stored(root, base.md5):
        lost.append(base)
        base = by_md5.get(base.base)
    commands = [] if base is None else [f"`kshot data restore {base.short}`"]
    commands += [_command(one) for one in reversed(lost)]
    joined = f" to data version {version.base[:8]}" if version.base else ""
    when = f", added {version.added[:10]}" if version.added else ""
    origin = f"it came from {printable(version.source) or 'an unknown source'}{when}{joined}"
    return f"{origin}: {', then '.join(commands)}"


def _command(version: "DataVersion") -> str:
    """The command that adds the images of a version to its base; the ledger, which is in git, omits the folder."""
    if version.base and ERASED.match(version.note):
        return f"`kshot forget` for the images that were erased ({version.note})"
    if version.base and version.source == FEEDBACK and not version.address:
        return "`kshot feedback add-data`"
    place = version.source if version.source == GLYPHS else f".../{printable(version.source) or 'SOURCE'}"
    return f"`kshot data add {place}{' --extend' if version.base else ''}`"


def _is_stored(root: Path, md5: str) -> bool:
    try:
        locate(root, f"{md5}.dir", None)
    except (Broken, OSError):
        return False
    return True
