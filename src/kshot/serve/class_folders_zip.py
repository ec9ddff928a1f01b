"""Packs a folder of class folders as the zip that a gallery's import takes."""

import io
import zipfile
from pathlib import Path

from kshot.errors import DataError


def zipped(folder: Path) -> bytes:
    """A zip of the files below `folder`, by their paths in it; hidden files and folders are left out.

    Images are compressed already, so that they are stored as they are. Raises DataError for a folder without files.
    """
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and not _is_hidden(file.relative_to(folder))]
    if not files:
        raise DataError(f"{folder} holds no file; needs one folder a class, with its images")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file in files:
            archive.write(file, file.relative_to(folder).as_posix())
    return content.getvalue()


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
