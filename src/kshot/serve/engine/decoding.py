"""Decodes images that clients send, within the limits, and prepares them as the model's training images were."""

from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass

from PIL import Image

from kshot.data.image_formats import LARGEST
from kshot.data.images import ImageArray, decoded_with_header, prepare
from kshot.errors import DataError
from kshot.params.sections.ingest import Ingest
from kshot.serve.messages.refusals import Refused

FORMATS = "PNG, JPEG, WEBP, GIF, BMP, TIFF"


@dataclass(frozen=True)
class SentImage:
    """The bytes of an image file, and a name for messages, such as `images[3] (apple.jpg)`."""

    content: bytes
    name: str


@dataclass(frozen=True, eq=False)
class Prepared:
    """pixels (size, size, channels) uint8, as the model's input; the rest is of the file's header."""

    pixels: ImageArray
    width: int
    height: int
    media_type: str
    frames: bool


def prepare_image(image: SentImage, ingest: Ingest, most_pixels: int) -> Prepared:
    """Decode one image. Raises Refused for content that is no image, is damaged, or has too many pixels."""
    try:
        # 30,000 x 30,000 pixels are refused by the header, before any of them is decoded.
        most = min(most_pixels, LARGEST)
        with decoded_with_header(image.content, ingest.channels, most) as (header, pixels):
            prepared = prepare(pixels, ingest)
    except DataError as error:
        text = str(error)
        if text.startswith("it has ") or "decompression bomb" in text:  # Pillow's own limit is twice kshot's
            text = text if text.startswith("it has ") else f"it has far more than {most_pixels:,} pixels"
            raise Refused(413, "image_too_large", f"{image.name} {text.removeprefix('it ')}") from None
        if text.startswith(("it is no image", "the file is empty")):
            raise Refused(415, "not_an_image", f"{image.name}: {text}; needs an image file: {FORMATS}") from None
        raise Refused(422, "damaged_image", f"{image.name}: {text}; send the whole file") from None
    media_type = "application/octet-stream"
    with suppress(KeyError):
        media_type = Image.MIME[header.format]
    return Prepared(prepared, header.width, header.height, media_type, header.frames)


def prepare_images(images: list[SentImage], ingest: Ingest, most_pixels: int, pool: Executor) -> list[Prepared]:
    """As `prepare_image`, several at once; raises the Refused of the first image that has one."""
    if len(images) == 1:
        return [prepare_image(images[0], ingest, most_pixels)]
    return list(pool.map(lambda image: prepare_image(image, ingest, most_pixels), images))
