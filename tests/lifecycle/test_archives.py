"""Archives: what is in them comes out, what is evil in them does not."""

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from kshot.errors import DataError
from kshot.lifecycle import archives
from tests.lifecycle.raw_project import files_below, write_zip

FILES = {"Ελληνικά/άλφα beta/1.png": b"one", "b/2.png": b"two" * 1000}


def write_tar(file: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(file, mode) as packed:  # type: ignore[call-overload]
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            packed.addfile(entry, io.BytesIO(content))
    return file


def refused(archive: Path, told: str) -> None:
    """The archive is refused with one line, and nothing lies outside the folder or was written much."""
    folder = archive.parent / "inside" / "folder"
    folder.mkdir(parents=True)
    with pytest.raises(DataError, match=told) as caught:
        archives.unpack(archive, folder)
    assert str(archive) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert files_below(archive.parent).keys() == {archive.name}


@pytest.mark.parametrize("suffix", archives.SUFFIXES)
def test_every_kind_unpacks_to_what_was_packed(tmp_path: Path, suffix: str) -> None:
    archive = tmp_path / f"data{suffix}"
    mode = {"gz": "w:gz", "tgz": "w:gz", "bz2": "w:bz2", "tbz2": "w:bz2", "xz": "w:xz", "txz": "w:xz"}
    if suffix == ".zip":
        write_zip(archive, FILES)
    else:
        write_tar(archive, FILES, mode.get(suffix.rpartition(".")[2], "w"))
    assert archives.is_archive(archive)
    archives.unpack(archive, tmp_path / "out")
    assert files_below(tmp_path / "out") == FILES


def test_the_ending_decides_and_its_case_does_not() -> None:
    assert archives.is_archive(Path("A.ZIP"))
    assert not archives.is_archive(Path("a.csv"))


CLIMBERS = ["../evil.png", "a/../../evil.png", "/tmp/kshot-evil.png", "C:/evil.png", "..\\evil.png"]


@pytest.mark.parametrize("name", CLIMBERS)
def test_a_member_of_a_zip_that_climbs_out_is_refused(tmp_path: Path, name: str) -> None:
    refused(write_zip(tmp_path / "a.zip", {"good/1.png": b"1", name: b"evil"}), "climbs out")


@pytest.mark.parametrize("name", CLIMBERS)
def test_a_member_of_a_tar_that_climbs_out_is_refused(tmp_path: Path, name: str) -> None:
    refused(write_tar(tmp_path / "a.tar", {"good/1.png": b"1", name: b"evil"}), "climbs out")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_link_or_device_in_a_tar_is_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as packed:
        entry = tarfile.TarInfo("a/link.png")
        entry.type, entry.linkname = kind, "/etc/passwd"
        packed.addfile(entry)
    refused(tmp_path / "a.tar", "'a/link.png', a link or device")


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    entry = zipfile.ZipInfo("a/link.png")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr(entry, "/etc/passwd")
    refused(tmp_path / "a.zip", "'a/link.png', a link or device")


def test_a_zip_that_unpacks_to_a_hundred_times_its_size_is_refused(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"a/1.png": bytes(8 * 2**20)})
    assert 100 * archive.stat().st_size < 8 * 2**20
    refused(archive, "over 100 times its size; unpack it by hand if you trust it")


@pytest.mark.parametrize("mode", ["gz", "bz2", "xz"])
def test_a_tar_that_unpacks_to_a_hundred_times_its_size_is_refused(tmp_path: Path, mode: str) -> None:
    archive = write_tar(tmp_path / f"a.tar.{mode}", {"a/1.png": bytes(2**20), "a/2.png": bytes(2**20)}, f"w:{mode}")
    refused(archive, "over 100 times its size")


def test_a_small_archive_may_be_as_tight_as_it_likes(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"a/1.png": bytes(2**20)})
    assert 100 * archive.stat().st_size < 2**20
    archives.unpack(archive, tmp_path / "out")
    assert (tmp_path / "out/a/1.png").stat().st_size == 2**20


def test_a_zip_that_lies_about_its_size_writes_no_more_than_it_said(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"a/1.png": bytes(8 * 2**20)})
    data = bytearray(archive.read_bytes())
    real, lie = (8 * 2**20).to_bytes(4, "little"), (10).to_bytes(4, "little")
    assert data.count(real) == 2  # the member's own header and the directory's
    archive.write_bytes(bytes(data).replace(real, lie))
    with pytest.raises(DataError, match="cannot be unpacked"):
        archives.unpack(archive, tmp_path / "out")
    assert sum(len(content) for content in files_below(tmp_path / "out").values()) <= 10


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz"])
def test_what_is_no_archive_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"this is no archive")
    refused(tmp_path / name, "cannot be unpacked .*; needs a sound .zip or .tar")


@pytest.mark.parametrize("mode", ["zip", "tar.gz", "tar.bz2", "tar.xz"])
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_archive_is_told(tmp_path: Path, mode: str, damage: str) -> None:
    noise = {"a/1.png": np.random.default_rng(0).bytes(200_000)}
    archive = tmp_path / f"a.{mode}"
    write_zip(archive, noise) if mode == "zip" else write_tar(archive, noise, f"w:{mode[4:]}")
    data = bytearray(archive.read_bytes())
    middle = len(data) // 2
    if damage == "flipped":
        data[middle : middle + 2000] = bytes(255 - byte for byte in data[middle : middle + 2000])
    archive.write_bytes(data[:middle] if damage == "cut" else data)
    with pytest.raises(DataError, match="cannot be unpacked"):
        archives.unpack(archive, tmp_path / "out")


def test_a_file_that_is_a_folder_too_is_told(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"a.png": b"1", "a.png/b.png": b"2"})
    with pytest.raises(DataError, match="cannot be unpacked"):
        archives.unpack(archive, tmp_path / "out")


def test_a_name_that_no_disk_holds_is_told(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {f"{'a' * 300}/b.png": b"2"})
    with pytest.raises(DataError, match="File name too long"):
        archives.unpack(archive, tmp_path / "out")
