"""data/erasures.jsonl: which images were erased on purpose, by whom, when and why. It belongs in git.

A line names images by their content. The promotion history seals each line by its sha256, so that nobody can excuse
lost data by adding a line.
"""

import dataclasses
import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from kshot.errors import DataError
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.broken import Erased
from kshot.lifecycle.project.files import exclusive, write_text
from kshot.lifecycle.project.tables import counted


@dataclasses.dataclass(frozen=True)
class Erasure:
    """One erasure.

    key        random, names the erasure
    at, by     when in UTC, and the person
    reason     as the person gave it
    images     md5 of each erased image file, as DVC lists it
    versions   md5 of each data version that contained one of them and is incomplete since
    manifests  of registered models that showed one of them in their input example: the sha256 of the model's manifest
               before the example was deleted, to the sha256 after
    """

    key: str
    at: str
    by: str
    reason: str
    images: tuple[str, ...]
    versions: tuple[str, ...]
    manifests: dict[str, str] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        return f"erased by {self.by}, {self.at[:10]}: {self.reason}"

    @property
    def digest(self) -> str:
        """The sha256 by which the promotion history names the erasure."""
        return hashlib.sha256(_line(self).encode()).hexdigest()


def read(root: Path) -> list[Erasure]:
    """Every erasure, oldest first. Raises DataError for a damaged file."""
    path = root / layout.ERASURES
    if not path.exists():
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [of_fields(json.loads(line)) for line in lines if line.strip()]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}); take it from git again") from error


def of_fields(found: dict[str, Any]) -> Erasure:
    """An erasure from its fields as JSON has them. Raises KeyError and TypeError for other fields."""
    return Erasure(**{**found, "images": tuple(found["images"]), "versions": tuple(found["versions"])})


def note(root: Path, erasure: Erasure) -> None:
    """Add an erasure to the file, completely or not at all; once, however often it is called."""
    with exclusive(root, "erasures"):
        known = read(root)
        if all(one.key != erasure.key for one in known):
            (root / layout.ERASURES).parent.mkdir(parents=True, exist_ok=True)
            write_text(root / layout.ERASURES, "".join(f"{_line(one)}\n" for one in (*known, erasure)))


def of_version(root: Path, md5: str) -> tuple[Erasure, ...]:
    """The erasures that left this data version incomplete, oldest first."""
    return tuple(one for one in read(root) if md5 in one.versions)


def of_images(root: Path, md5s: Collection[str], version: str = "") -> tuple[Erasure, ...]:
    """The erasures of these images, oldest first; empty unless all of the images were erased.

    `version`: only from this data version. An image that was added again later and is lost then was not erased.
    """
    lost = set(md5s)
    known = [one for one in read(root) if not version or version in one.versions] if lost else []
    found = [one for one in known if lost & set(one.images)]
    return tuple(found) if lost and lost <= {md5 for one in found for md5 in one.images} else ()


def missing(root: Path, md5: str) -> str:
    """The erasures of a data version as text; '' if there are none."""
    return "; ".join(f"images of it were {one}" for one in of_version(root, md5))


def require_whole(root: Path, md5: str) -> None:
    """Raise DataError if images of the data version were erased."""
    if text := missing(root, md5):
        raise DataError(
            f"data version {md5[:8]} is incomplete on purpose and cannot be brought back: {text}; the versions without "
            "them are listed by `kshot data versions`"
        )


def gone(lost: Collection[str], of: str, erasures: tuple[Erasure, ...]) -> Erased:
    """The exception for images that are lost because these erasures deleted them."""
    files = f"{counted(len(lost), 'image')} of {of}"
    return Erased(f"{files}: {'; '.join(map(str, erasures))}", tuple(one.digest for one in erasures))


def _line(erasure: Erasure) -> str:
    return json.dumps(dataclasses.asdict(erasure), ensure_ascii=False, sort_keys=True)
