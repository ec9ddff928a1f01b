"""The note of a forgetting under way, in .kshot: the same command continues it after a kill or a lost connection."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kshot.errors import DataError
from kshot.lifecycle.data import erasures
from kshot.lifecycle.data.erasures import Erasure
from kshot.lifecycle.forget.holding import ForgottenImage, Holding
from kshot.lifecycle.forget.selection import ForgetRequest
from kshot.lifecycle.history.events import Person
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import write_text


@dataclass(frozen=True)
class Intent:
    """A request to forget images, and its consequences.

    erasure   the line of data/erasures.jsonl
    who       the person
    images    the images, with all hashes by which copies are found when the files themselves are gone
    holdings  everything that was found to delete, also in earlier tries
    version   md5 of the new data version, '' if none is needed or it is not made yet
    unreached places that did not answer in the last try: they must be asked before it is done
    later     further lines: of models and data versions that came between the first try and a later one
    """

    request: ForgetRequest
    erasure: Erasure
    who: Person
    images: tuple[ForgottenImage, ...]
    holdings: tuple[Holding, ...]
    version: str = ""
    unreached: tuple[str, ...] = ()
    later: tuple[Erasure, ...] = ()

    @property
    def erasures(self) -> tuple[Erasure, ...]:
        """Every line of data/erasures.jsonl that this forgetting writes."""
        return (self.erasure, *self.later)

    @property
    def incomplete(self) -> tuple[str, ...]:
        """md5 of each data version that lacks one of the images since."""
        return tuple(sorted({md5 for one in self.erasures for md5 in one.versions}))


def read(root: Path) -> Intent | None:
    """The forgetting under way, None if there is none. Raises DataError for a damaged note."""
    path = root / layout.FORGETTING
    if not path.exists():
        return None
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        request = found.get("request") or found["asked"]  # its name until 2026-11
        return Intent(
            request=ForgetRequest(**{**request, "images": tuple(request["images"])}),
            erasure=erasures.of_fields(found["erasure"]),
            who=Person(**found["who"]),
            images=tuple(ForgottenImage(**{**one, "pixels": tuple(one["pixels"])}) for one in found["images"]),
            holdings=tuple(Holding(**one) for one in found["holdings"]),
            version=found["version"],
            unreached=tuple(found.get("unreached", ())),
            later=tuple(map(erasures.of_fields, found.get("later", ()))),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is damaged ({error}): it notes a forgetting that is not finished; delete it, then forget again"
        ) from error


def write(root: Path, intent: Intent) -> None:
    """Write the note, completely or not at all."""
    write_text(root / layout.FORGETTING, json.dumps(dataclasses.asdict(intent), ensure_ascii=False) + "\n")


def end(root: Path) -> None:
    """Delete the note: everything is done."""
    (root / layout.FORGETTING).unlink(missing_ok=True)
