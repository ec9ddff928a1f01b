"""data/feedback.jsonl: which images came from requests to the service, and who labelled them.

A line names an image by its content, so that it holds for every data version that has the image.
"""

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path

from kshot.errors import DataError
from kshot.lifecycle.data.dvc_cache import listing
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import write_text
from kshot.lifecycle.sources.source_image import normal


@dataclasses.dataclass(frozen=True)
class FeedbackImage:
    """An image from a request that a person labelled.

    md5             of the image file, as DVC lists it
    class_name      that the person gave
    by, at          who, and when in UTC
    item, request   of the service's log
    gallery, asked  the gallery of the request, and its time in UTC
    model_version   the version that predicted
    predicted       its label
    unknown         whether it found the image unlike all classes; None without a threshold
    """

    md5: str
    class_name: str
    by: str
    at: str
    item: int
    request: str
    gallery: str
    asked: str
    model_version: str
    predicted: str
    unknown: bool | None


def read(root: Path) -> list[FeedbackImage]:
    """Every line, oldest first. Raises DataError for a file that is damaged."""
    path = root / layout.FEEDBACK
    if not path.exists():
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [FeedbackImage(**json.loads(line)) for line in lines if line.strip()]
    except (ValueError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}); take it from git again, or delete the broken line") from error


def append(root: Path, images: Iterable[FeedbackImage]) -> None:
    """Add those images that are not in the file, completely or not at all."""
    before = read(root)
    fresh = [one for one in dict.fromkeys(images) if one not in set(before)]
    lines = [json.dumps(dataclasses.asdict(one), ensure_ascii=False) for one in (*before, *fresh)]
    (root / layout.FEEDBACK).parent.mkdir(parents=True, exist_ok=True)
    write_text(root / layout.FEEDBACK, "".join(f"{line}\n" for line in lines))


def of_version(root: Path, md5: str) -> tuple[FeedbackImage, ...]:
    """The images of a data version that came from requests. Raises Broken if its listing is gone."""
    known = read(root)
    if not known:
        return ()
    # The class is the folder: an image that is in the version under another class has another origin.
    there = {(entry["md5"], entry["relpath"].rpartition("/")[0]) for entry in listing(root, f"{md5}.dir")}
    last = {one.md5: one for one in known if (one.md5, f"images/{normal(one.class_name)}") in there}
    return tuple(last.values())
