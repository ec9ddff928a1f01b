"""An image inside an archive is found by its content, whatever the archive's kind."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from kshot.lifecycle.forget.archive_members import member_of
from kshot.lifecycle.forget.holding import Forgotten, ForgottenImage

IMAGE, OTHER = b"an image, as a file", b"an image, as a fine"  # of one size


def wanted(content: bytes, size: int | None = None) -> Forgotten:
    md5 = hashlib.md5(content).hexdigest()
    image = ForgottenImage(md5, "", len(content) if size is None else size, ())
    return Forgotten((image,), frozenset(), frozenset())


def archive(path: Path, kind: str, *contents: bytes) -> Path:
    names = [f"birds/{number}.png" for number in range(len(contents))]
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in zip(names, contents, strict=True):
                packed.writestr(name, content)
        return path
    with tarfile.open(path, f"w:{kind.removeprefix('tar')}") as packed:
        for name, content in zip(names, contents, strict=True):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            packed.addfile(entry, io.BytesIO(content))
    return path


@pytest.mark.parametrize("kind", ["zip", "tar", "targz", "tarbz2", "tarxz"])
def test_the_member_is_named_by_its_content_and_not_by_its_size(tmp_path: Path, kind: str) -> None:
    path = archive(tmp_path / "photos", kind, OTHER, IMAGE)
    with path.open("rb") as file:
        assert member_of(file, wanted(IMAGE)) == "birds/1.png"
    with path.open("rb") as file:
        assert member_of(file, wanted(IMAGE, size=0)) == "birds/1.png"  # an image that only its md5 names
    with path.open("rb") as file:
        assert member_of(file, wanted(b"an image, as a file.")) == ""


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut short", b"\x1f\x8b no gzip", b"BZh"])
def test_a_file_that_is_no_sound_archive_has_no_member(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with (tmp_path / "file").open("rb") as file:
        assert member_of(file, wanted(IMAGE)) == ""
