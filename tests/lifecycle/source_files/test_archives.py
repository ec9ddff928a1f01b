"""Archives: their images are extracted, malicious members are not."""

import gzip
import io
import shutil
import stat
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from kshot.errors import DataError
from kshot.lifecycle.source_files import archives
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


def test_an_archive_is_known_by_its_ending_or_its_content(tmp_path: Path) -> None:
    assert archives.is_archive(Path("A.ZIP"))
    (tmp_path / "a.csv").write_text("path,class")
    assert not archives.is_archive(tmp_path / "a.csv")
    assert archives.is_archive(write_zip(tmp_path / "zip", FILES))
    assert archives.is_archive(write_tar(tmp_path / "tar", FILES))
    assert archives.is_archive(write_tar(tmp_path / "packed", FILES, "w:xz"))


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


def long_name(kind: bytes, size: int) -> bytes:
    """A tar's header that says that a name of `size` bytes follows."""
    entry = tarfile.TarInfo("long")
    entry.type, entry.size = kind, size
    return entry.tobuf(tarfile.USTAR_FORMAT)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_name_of_a_tar_is_not_read_where_it_is_too_long(tmp_path: Path, kind: bytes) -> None:
    size = 64 * 2**20
    with gzip.open(tmp_path / "a.tar.gz", "wb", 1) as packed:
        packed.write(long_name(kind, size))
        for _ in range(64):
            packed.write(b"a" * 2**20)
        packed.write(tarfile.TarInfo("a/1.png").tobuf())
    tracemalloc.start()
    refused(tmp_path / "a.tar.gz", "a header larger than any sound archive's")
    assert tracemalloc.get_traced_memory()[1] < size / 4
    tracemalloc.stop()


def test_a_directory_of_a_zip_is_not_read_where_it_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = write_zip(tmp_path / "a.zip", {f"a/{number}.png": b"1" for number in range(100)})
    monkeypatch.setattr(archives, "LARGEST_DIRECTORY", 2000)
    refused(archive, "a header larger than any sound archive's")


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_ENTRIES", 2)
    refused(write_zip(tmp_path / "a.zip", {f"a/{number}.png": b"1" for number in range(3)}), "holds over 2 files")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_name_that_comes_twice_is_refused(tmp_path: Path, kind: str) -> None:
    archive = tmp_path / f"a.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as packed, pytest.warns(UserWarning, match="Duplicate name"):
            packed.writestr("a/1.png", b"1")
            packed.writestr("a/1.png", b"2")
    else:
        with tarfile.open(archive, "w") as packed_tar:
            for name in ("a/1.png", "./a/1.png"):
                packed_tar.addfile(tarfile.TarInfo(name))
    refused(archive, "a/1.png' twice")


def test_more_than_the_disk_has_room_for_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = shutil.disk_usage(tmp_path)._replace(free=2)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    refused(write_zip(tmp_path / "a.zip", {"a/1.png": b"123"}), "3 bytes or more, and the disk has room for 2")


def test_an_encrypted_zip_is_told(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"a/1.png": b"1"})
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    archive.write_bytes(data)
    refused(archive, "is encrypted; needs one without a password")


def test_empty_folders_come_out_too(tmp_path: Path) -> None:
    archives.unpack(write_zip(tmp_path / "a.zip", {"a/1.png": b"1", "b/": b""}), tmp_path / "zip")
    entry = tarfile.TarInfo("b")
    entry.type = tarfile.DIRTYPE
    with tarfile.open(tmp_path / "a.tar", "w") as packed:
        packed.addfile(tarfile.TarInfo("a/1.png"))
        packed.addfile(entry)
    archives.unpack(tmp_path / "a.tar", tmp_path / "tar")
    assert (tmp_path / "zip/b").is_dir()
    assert (tmp_path / "tar/b").is_dir()


def test_names_of_windows_and_of_a_code_page_are_read(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"birds\\V?gel\\1.png": b"1"})
    archive.write_bytes(archive.read_bytes().replace(b"V?gel", "Vögel".encode("cp437")))
    (note,) = archives.unpack(archive, tmp_path / "out")
    assert list(files_below(tmp_path / "out")) == ["birds/Vögel/1.png"]
    assert "read as cp437" in note


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


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"\n <!DOCTYPE html><html>404", "it is a web page: download it again"), (b"", "empty file")],
)
def test_a_file_that_is_no_archive_is_named_for_what_it_is(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    refused(tmp_path / "a.zip", rf"cannot be unpacked \({told}\); needs a sound")


def test_a_zip_that_was_cut_short_is_told_as_one(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", FILES)
    archive.write_bytes(archive.read_bytes()[:40])
    refused(archive, r"\(its end is missing: copy or download it again\)")
