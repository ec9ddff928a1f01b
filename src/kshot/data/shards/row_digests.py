"""A hash of each packed image, by which a stage finds the results for an equal image."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from kshot.data.jpeg_images import JpegImages
from kshot.data.shards.packed_shards import ShardedImages

BYTES = 16


def row_digests(images: NDArray[np.uint8] | JpegImages | ShardedImages) -> list[bytes]:
    """The hash of the stored bytes of each image, 16 bytes; a stored JPEG is not decoded."""
    parts = images.parts if isinstance(images, ShardedImages) else [images]
    return [_digest(part, row) for part in parts for row in range(len(part))]


def _digest(part: NDArray[np.uint8] | JpegImages, row: int) -> bytes:
    content = part.encoded(row) if isinstance(part, JpegImages) else np.ascontiguousarray(part[row]).data
    return hashlib.blake2b(content, digest_size=BYTES).digest()
