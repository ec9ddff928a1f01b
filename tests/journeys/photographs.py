"""Folders of photographs for the journeys: groceries if their archive is available, else images drawn here."""

import zipfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

from tests.journeys.blocks import REPOSITORY

ARCHIVE = REPOSITORY.parent / "shared/data/groceries.zip"
CLASSES, IMAGES = 30, 16


def photographs(folder: Path, *, classes: slice = slice(CLASSES), images: slice = slice(IMAGES)) -> Path:
    """Fill `folder` with a folder a class, of JPEG files of unequal sizes. The slices choose classes and images."""
    if ARCHIVE.exists():
        _groceries(folder, classes, images)
    else:
        _drawn(folder, classes, images)
    return folder


def _groceries(folder: Path, classes: slice, images: slice) -> None:
    members = defaultdict(list)
    with zipfile.ZipFile(ARCHIVE) as archive:
        for name in sorted(archive.namelist()):
            members[Path(name).parent].append(name)
        for path in sorted(members)[classes]:
            place = folder / "-".join(path.parts)
            place.mkdir(parents=True)
            for name in members[path][images]:
                (place / Path(name).name).write_bytes(archive.read(name))


def _drawn(folder: Path, classes: slice, images: slice) -> None:
    """Two colours a class, in blobs whose places and sizes each image draws for itself."""
    for number in range(CLASSES * 2)[classes]:
        colours = np.random.default_rng(number).integers(0, 256, (2, 3))
        place = folder / f"class{number:02d}"
        place.mkdir(parents=True)
        for image in range(IMAGES * 2)[images]:
            random = np.random.default_rng([number, image])
            height, width = random.integers(90, 240, 2)
            waves = random.normal(size=(height // 8, width // 8))
            blobs = np.asarray(Image.fromarray(waves).resize((width, height), Image.Resampling.BICUBIC)) > 0
            pixels = np.where(blobs[:, :, None], *colours) + random.normal(0, 12, (height, width, 3))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place / f"{image:03d}.jpg")
