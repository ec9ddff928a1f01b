"""Packed images as pixels and as JPEG: bytes an image, and how fast a batch of them is read.

    python benchmarks/packed_images.py FOLDER_OF_IMAGES [SIZE ...]    # 256 and 224 pixels if none is given

Batches of 80 random images of at most 1,000, from files in the page cache. The last columns say how much disk one
million photographs would take.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from kshot.data.images import Packed, pack, pack_jpegs
from kshot.data.jpeg_images import JpegImages
from kshot.params.sections.ingest import Ingest

IMAGES, BATCH, BATCHES = 1000, 80, 25


def main(folder: Path, sizes: list[int]) -> None:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    chosen = [files[place] for place in np.linspace(0, len(files) - 1, min(IMAGES, len(files))).astype(int)]
    print("| pixels | store | bytes an image | images/s, packing | images/s, reading | a million |")
    print("|--:|---|--:|--:|--:|--:|")
    for size in sizes:
        ingest = Ingest(size, 3, invert=False, crop="none", fit="crop")
        with tempfile.TemporaryDirectory() as name:
            for store, write in (("pixels", pack), ("jpeg", pack_jpegs)):
                file = Path(name) / ("images.npy" if store == "pixels" else "images.jpegs")
                began = time.perf_counter()
                count = sum(isinstance(record, Packed) for record in write(chosen, file, ingest))
                packing = len(chosen) / (time.perf_counter() - began)
                images = np.load(file, mmap_mode="r") if store == "pixels" else JpegImages(file)
                each = file.stat().st_size / count
                print(
                    f"| {size} | {store} | {each:,.0f} | {packing:.0f} | {reading(images):,.0f} | {each / 1e3:.0f} GB |"
                )


def reading(images: np.ndarray | JpegImages) -> float:
    """Images a second in random batches."""
    rng = np.random.default_rng(0)
    _ = images[rng.integers(0, len(images), BATCH)]
    began = time.perf_counter()
    for _ in range(BATCHES):
        _ = images[rng.integers(0, len(images), BATCH)]
    return BATCH * BATCHES / (time.perf_counter() - began)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), [int(size) for size in sys.argv[2:]] or [256, 224])
