"""Recognises a full disk, or a full quota, in errors and in the output of other programs."""

import errno
import re
import shutil
from pathlib import Path

NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Of the operating system and of SQLite.
TEXTS = ("No space left on device", "Disk quota exceeded", "File too large", "database or disk is full")
ROOM = 2**20  # bytes; a program that ended with less than this left ended for lack of room


def is_full(error: OSError) -> bool:
    """Whether an error says that the disk is full; `shutil.copytree` has no number in its own, only the texts."""
    return error.errno in NUMBERS or says_full(str(error))


def says_full(text: str) -> bool:
    """Whether the output of another program says that the disk is full."""
    return any(one in text for one in TEXTS)


def place_in(text: str) -> str:
    """The place that the output of another program names after the text of a full disk, '' if it names none.

    >>> place_in("failed to transfer '1a' - [Errno 28] No space left on device: 'data/a' -> '.dvc/cache/1a/.x.tmp'")
    '.dvc/cache/1a'
    """
    found = re.search(rf"({'|'.join(TEXTS)}): '([^']+)'(?: -> '([^']+)')?", text)
    path = Path(found[3] or found[2]) if found else None
    if path is None:
        return ""
    return str(path.parent if path.name.startswith(".") and path.suffix == ".tmp" else path)


def no_room(folder: Path) -> bool:
    """Whether the disk of `folder` is full now."""
    return shutil.disk_usage(folder).free < ROOM


def message(error: OSError) -> str:
    """The message for a full disk, with the file that was written: a failed copy names it second, of a folder inside.

    >>> message(OSError(28, "No space left on device", "card/1.png", None, "data/raw/1.png"))
    'the disk is full at data/raw/1.png'
    """
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):  # of `copytree`: source, target, reason
        place = next((target for _, target, reason in error.args[0] if says_full(reason)), None)
    else:
        place = error.filename2 or error.filename
    return f"the disk is full at {place}" if place else "the disk is full"
