"""Prints a new folder in memory for the files of a test session, so that no test waits for a disk; nothing if there is
no room for one. Every commit of a database or of git waits for the disk otherwise, 30 ms on a slow one."""

import os
import re
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
NEEDED = 8 << 30  # bytes free; a session of all tests leaves some 2 GB


def memory_folder(place: Path = MEMORY, needed: int = NEEDED) -> Path | None:
    """A new folder in `place`, None if that is no file system in memory with room where programs may be started."""
    try:
        system = os.statvfs(place)
        free = re.search(r"^MemAvailable: +(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        return None
    if free is None or min(system.f_bavail * system.f_frsize, 1024 * int(free[1])) < needed:
        return None
    if system.f_flag & os.ST_NOEXEC or not os.access(place, os.W_OK):
        return None
    return Path(tempfile.mkdtemp(prefix="kshot-", dir=place))


if __name__ == "__main__":
    print(memory_folder() or "")
