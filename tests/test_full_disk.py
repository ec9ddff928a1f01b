import errno
import os
import shutil
from pathlib import Path

import pytest

from kshot import full_disk


def test_a_copy_that_finds_no_room_names_the_file_that_it_writes_not_the_one_that_it_reads() -> None:
    """`shutil.copyfile` names both."""
    failed = OSError(errno.ENOSPC, "No space left on device", "card/1.png", None, "data/raw/1.png")
    assert full_disk.message(failed) == "the disk is full at data/raw/1.png"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_a_full_quota_and_a_limit_of_a_file_are_recognised(number: int) -> None:
    assert full_disk.is_full(OSError(number, os.strerror(number)))
    assert full_disk.says_full(f"ERROR: failed to transfer 'x' - [Errno {number}] {os.strerror(number)}: 'a' -> 'b'")
    assert full_disk.message(OSError(number, os.strerror(number))) == "the disk is full"


def test_a_folder_that_finds_no_room_is_recognised_by_the_errors_of_its_files() -> None:
    assert full_disk.is_full(shutil.Error([("a", "b", str(OSError(28, "No space left on device", "b")))]))
    copied = shutil.Error([("a/1", "b/1", "Permission denied"), ("a/2", "b/2", "No space left on device")])
    assert full_disk.message(copied) == "the disk is full at b/2"
    assert not full_disk.is_full(shutil.Error([("a", "b", str(OSError(13, "Permission denied", "b")))]))


def test_another_error_is_no_full_disk(tmp_path: Path) -> None:
    assert not full_disk.is_full(FileNotFoundError(2, "No such file or directory", "a"))
    assert not full_disk.says_full("database is locked")
    assert not full_disk.no_room(tmp_path)
