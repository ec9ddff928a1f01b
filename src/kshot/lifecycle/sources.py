"""What a person can bring in: a folder tree, an archive, or a manifest, read as one list of pictures."""

import difflib
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from kshot.errors import DataError
from kshot.lifecycle.archives import is_archive, unpack
from kshot.splits import SPLITS

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
MANIFESTS = (".csv", ".parquet")
LONGEST_NAME = 200  # bytes of one folder's name; file systems end at 255


@dataclass(frozen=True)
class Picture:
    """One file, and where it belongs; group and split may be ''."""

    file: Path
    label: str
    group: str
    split: str


def read_source(source: Path, workspace: Path, *, unlabelled: bool = False) -> list[Picture]:
    """The pictures of a folder, an archive (unpacked into `workspace`) or a manifest, sorted by class and name.

    class = the folders above the file, joined by /; group = the class without its last part. With `unlabelled`, files
    in no folder, and a manifest without the column class, are pictures of class '', all of them or none. Raises
    DataError for a source that is missing, empty, of no known kind, or whose classes cannot be told.
    """
    if not source.exists():
        raise DataError(
            f"{source} does not exist; needs a folder, a .zip or .tar, a .csv or .parquet, or the word glyphs"
        )
    if source.is_dir():
        pictures = _read_tree(source, source, unlabelled)
    elif is_archive(source):
        unpack(source, workspace)
        pictures = _read_tree(workspace, source, unlabelled)
    elif source.suffix.lower() in MANIFESTS:
        pictures = _read_manifest(source, unlabelled)
    else:
        raise DataError(f"{source} is of no known kind; needs a folder, a .zip or .tar, or a .csv or .parquet manifest")
    if not pictures:
        endings = " ".join(sorted(PICTURES))
        raise DataError(f"{source} holds no picture; needs class folders with files that end in {endings}")
    for picture in pictures:
        if picture.label or not unlabelled:
            check_name("class", picture.label)
        check_name("file", picture.file.name)
    without = [picture for picture in pictures if not picture.label]
    if 0 < len(without) < len(pictures):
        raise DataError(
            f"{source} has {without[0].file.name!r} in no class, and others in classes; "
            "needs all pictures in classes, or none"
        )
    return sorted(pictures, key=lambda picture: (picture.label, str(picture.file)))


def with_split(pictures: list[Picture], table: Path) -> list[Picture]:
    """The pictures with the split that a CSV of class,split gives each class.

    Raises DataError where the table is no such CSV, leaves a class out, or names one that is not there.
    """
    rows = _read_table(table, ("class", "split"))
    place = {
        unicodedata.normalize("NFC", name): split for name, split in zip(rows["class"], rows["split"], strict=True)
    }
    known = {picture.label for picture in pictures}
    odd = sorted(set(place.values()) - set(SPLITS))
    if odd:
        raise DataError(f"{table} has the split {odd[0]!r}; needs {', '.join(SPLITS)}")
    if len(place) < len(rows):
        twice = rows["class"][rows["class"].duplicated()].iloc[0]
        raise DataError(f"{table} names class {twice!r} twice; needs one line a class")
    _tell_difference(sorted(known - place.keys()), f"{table} leaves out", "needs a line for each class", place)
    _tell_difference(sorted(place.keys() - known), f"{table} names", "the images have no such class", known)
    return [replace(picture, split=place[picture.label]) for picture in pictures]


def check_name(kind: str, name: str) -> None:
    """Raise DataError for the name of a class or file (`kind`) that would not survive as a path, in CSV or in JSON."""
    for part in name.split("/"):
        bad = (
            part in ("", ".", "..")
            or part != part.strip()
            or any(unicodedata.category(sign) in ("Cc", "Cs") or sign == "\\" for sign in part)
        )
        if bad or len(part.encode("utf-8", "surrogateescape")) > LONGEST_NAME:
            raise DataError(
                f"{kind} {name!r} cannot be kept as a name; needs parts without control signs, backslashes or blanks "
                f"at their ends, of at most {LONGEST_NAME} bytes: rename it"
            )


def _read_tree(folder: Path, source: Path, unlabelled: bool) -> list[Picture]:
    pictures = []
    for file in folder.rglob("*"):
        parts = file.relative_to(folder).parts
        if file.suffix.lower() not in PICTURES or any(part.startswith((".", "__MACOSX")) for part in parts):
            continue
        if not file.is_file():
            continue
        if len(parts) == 1 and not unlabelled:
            raise DataError(
                f"{source} has {file.name!r} in no folder; needs one folder a class, such as alpha/{file.name}"
            )
        label = unicodedata.normalize("NFC", "/".join(parts[:-1]))
        pictures.append(Picture(file, label, group_of(label), ""))
    return pictures


def group_of(label: str) -> str:
    """The class without its last part, '' if it has only one."""
    return label.rpartition("/")[0]


def _read_manifest(path: Path, unlabelled: bool) -> list[Picture]:
    table = _read_table(path, ("path",) if unlabelled else ("path", "class"))
    pictures = []
    for row in table.to_dict("records"):
        file = path.parent / row["path"]
        label = unicodedata.normalize("NFC", row.get("class", ""))
        pictures.append(Picture(file, label, row.get("group") or group_of(label), row.get("split", "")))
    absent = [str(picture.file) for picture in pictures if not picture.file.is_file()]
    if absent:
        more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
        raise DataError(
            f"{path} names {absent[0]!r}{more}, which is no file; needs paths from the manifest's own folder"
        )
    splits = {picture.label: picture.split for picture in pictures}
    for picture in pictures:
        if picture.split not in ("", *SPLITS):
            raise DataError(f"{path} has the split {picture.split!r}; needs {', '.join(SPLITS)}, or nothing")
        if splits[picture.label] != picture.split:
            raise DataError(f"{path} has class {picture.label!r} in two splits; needs every class in one")
    return pictures


def _read_table(path: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    try:
        if path.suffix.lower() == ".parquet":
            table = pd.read_parquet(path).fillna("").astype(str)
        else:
            table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read as a table ({' '.join(str(error).split())}); needs the columns {', '.join(needed)}"
        ) from error
    missing = [column for column in needed if column not in table]
    if missing:
        found = ", ".join(map(str, table.columns))
        raise DataError(f"{path} has the columns {found}; needs {', '.join(needed)}")
    return table


def _tell_difference(names: list[str], found: str, needed: str, others: object) -> None:
    if not names:
        return
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    near = difflib.get_close_matches(names[0], list(others), n=1)  # type: ignore[call-overload]
    hint = f" (the nearest is {near[0]!r})" if near else ""
    raise DataError(f"{found} class {names[0]!r}{more}; {needed}{hint}")
