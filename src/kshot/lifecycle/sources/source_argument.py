"""Checks the source that a person names, before anything of it is read."""

from pathlib import Path

from kshot.errors import DataError
from kshot.lifecycle.project import layout
from kshot.lifecycle.sources.manifests import ADDRESS

GLYPHS = "glyphs"  # the built-in letters, drawn on this machine
NEEDED = "a folder, a .zip or .tar, a .csv or .parquet"


def check_given(source: str) -> None:
    """Raise DataError for an address, and for empty text, which as a path would be the working folder."""
    if not source.strip():
        raise DataError(f"no source is given, only empty text; needs {NEEDED}, or the word {GLYPHS}")
    if source.lower().startswith("file://"):
        raise DataError(f"{source} is an address; give only its path: {source[len('file://') :]}")
    if ADDRESS.match(source):
        raise DataError(f"{source} is an address, and kshot downloads nothing; fetch it, then add {NEEDED}")


def check_exists(source: str) -> None:
    """Raise DataError for a source that does not exist, before anything is read."""
    check_given(source)
    if source != GLYPHS:
        check_there(Path(source).expanduser())


def check_there(source: Path) -> None:
    """Raise DataError for a file or folder that does not exist, or a link whose target does not."""
    if source.exists():
        return
    link = next((place for place in (source, *source.parents) if place.is_symlink() and not place.exists()), None)
    if link is not None:
        raise DataError(f"{link} is a link to {link.readlink()}, which does not exist; mend the link, or give {NEEDED}")
    raise DataError(f"{source} does not exist; needs {NEEDED}, or the word {GLYPHS}")


def check_argument(root: Path, source: str) -> None:
    """Raise DataError for a source that is empty text, or a folder that contains the project at `root` itself."""
    check_given(source)
    if source == GLYPHS:
        return
    place, project = Path(source).expanduser().resolve(), root.resolve()
    if project == place or place in project.parents:
        raise DataError(f"{source} holds this project itself; needs a folder that has only images")
    if place == project / layout.RAW / "images":
        raise DataError(f"{source} is a part of the data version, without its manifest; add {layout.RAW} instead")
