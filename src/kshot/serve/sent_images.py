"""Images as the client sends them: files with a name, in portions that fit one request each."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from kshot.errors import ServiceError
from kshot.serve.messages.gallery_messages import Limits

Image = str | os.PathLike[str] | bytes  # the path of an image file, or its bytes
File = tuple[str, bytes]  # name and content
ROOM = 0.9  # of the largest body is images; the rest are a form's own lines


def named_images(images: Image | Sequence[Image]) -> list[File]:
    """The name and the bytes of each image; bytes have the name `image`.

    Raises ServiceError for no image, and TypeError for one that is neither a path nor bytes.
    """
    if isinstance(images, str | os.PathLike | bytes) or not isinstance(images, Iterable):
        images = [images]
    images = list(images)
    for one in images:
        if not isinstance(one, str | os.PathLike | bytes):
            raise TypeError(f"an image is a path or the bytes of an image file, not {type(one).__name__}")
    if not images:
        raise ServiceError("no image is given; needs at least one")
    return [("image", one) if isinstance(one, bytes) else (Path(one).name, Path(one).read_bytes()) for one in images]


def portions(files: Sequence[File], limits: Limits | None) -> Iterator[list[File]]:
    """The files in lists that one request each can hold, by the service's limits; without limits, one file each."""
    most, most_bytes = (limits.images, limits.body_bytes * ROOM) if limits else (1, 0)
    portion: list[File] = []
    size = 0
    for file in files:
        if portion and (len(portion) == most or size + len(file[1]) > most_bytes):
            yield portion
            portion, size = [], 0
        portion.append(file)
        size += len(file[1])
    yield portion
