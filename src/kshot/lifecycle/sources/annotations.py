"""Recognises files with labels that kshot does not read, by their content, and says what to do with them."""

import itertools
import re
from pathlib import Path

from kshot.data.image_formats import image_endings
from kshot.lifecycle.source_files.tables import TABLES

READ = 2**16  # bytes of a file that are looked at
FIRST = 3  # lines of a text that are looked at
OBJECTS = "cut each object out as an image in its class's folder"
IMAGES = "write the labels as a .csv (path,class), and add that"
ENDINGS = (".xml", ".json", ".jsonl", ".mat", ".cls", ".yaml", ".yml", *TABLES)
ARRAYS = (".npy", ".npz", ".pkl", ".pickle", ".h5", ".hdf5")
RECORDS = (".arrow", ".tfrecord", ".tfrecords")
YOLO = re.compile(r"(\s*\d+(\s+-?[\d.]+(e-?\d+)?){4,}\s*(\n|$))+")
# What a file of the kind has in its first bytes: all words of a line.
XML = {"CVAT annotations": ("<annotations", "<image"), "Pascal VOC annotations": ("<annotation",)}
JSON = {
    "COCO annotations": ('"annotations"', '"images"'),
    "labelme annotations": ('"shapes"', '"imagePath"'),
    "VGG (VIA) annotations": ('"regions"', '"filename"'),
}


def annotations(file: Path) -> str:
    """The kind and the remedy, as in "COCO annotations: cut each object out ..."; '' for any other file."""
    ending = file.suffix.lower()
    if ending in TABLES:
        return "a table, which is read only as the source itself (path,class) or with --split (class,split)"
    if ending == ".cls":
        return "a label of WebDataset, read only if every image has one: put each image into a folder of its class"
    if ending in RECORDS:
        return (
            "records with images, which are not read: write them as .parquet (of `datasets`: to_parquet), and add that"
        )
    if ending in ARRAYS:
        return "an array, not an image file: write each image into a file of its class's folder"
    if ending == ".mat":
        return f"a MATLAB file: {IMAGES}"
    if ending not in ENDINGS and ending != ".txt":
        return ""
    with file.open("rb") as content:
        text = content.read(READ).decode("utf-8", "replace").lstrip("\ufeff")
    if ending == ".txt":
        if YOLO.match(text):
            return f"YOLO annotations: {OBJECTS}"
        return f"a list of images: {IMAGES}" if _lists_images(text) else ""
    for kind, words in (XML if ending == ".xml" else JSON).items():
        if all(word in text for word in words):
            return f"{kind}: {OBJECTS}"
    if ending == ".jsonl" and '"file_name"' in text:
        return f"Hugging Face metadata: {IMAGES}"
    return f"a file of {ending[1:].upper()}, which is not read; if the labels are in it, {IMAGES}"


def _lists_images(text: str) -> bool:
    """Whether each of the first lines has the name of an image, as in "cat/001.jpg 0"."""
    lines = list(itertools.islice((line for line in text.splitlines() if line.strip()), FIRST))
    return bool(lines) and all(
        any(Path(word).suffix.lower() in image_endings() for word in re.split(r"[\s,;]+", line)) for line in lines
    )
