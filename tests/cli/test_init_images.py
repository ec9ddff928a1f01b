"""`kshot init --images` on awkward images of every kind: the settings it writes, or its one clear line."""

import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image, ImageDraw

from kshot import cli
from kshot.lifecycle.settings_fit import packaged_weights
from kshot.params.schema import load_params


class Case(NamedTuple):
    """make: writes the source below a folder and returns its path; shows: patterns of the output on one line."""

    make: Callable[[Path], Path]
    shows: tuple[str, ...]
    code: int = 0
    settings: tuple[tuple[str, object], ...] = ()


def pixels(of_class: int, number: int, size: tuple[int, int] = (24, 20)) -> Image.Image:
    """A photograph of a class: coloured blobs of its own, and noise."""
    blobs = np.random.default_rng(of_class).integers(0, 255, (5, 5, 3), dtype=np.uint8)
    large = np.asarray(Image.fromarray(blobs).resize(size, Image.Resampling.BICUBIC)).astype(np.int16)
    noise = np.random.default_rng([of_class, number]).integers(-15, 16, large.shape)
    return Image.fromarray((large + noise).clip(0, 255).astype(np.uint8))


def tree(root: Path, classes: int = 12, images: int = 6, name: str = "class{:03d}", first: int = 0) -> Path:
    for c in range(first, first + classes):
        folder = root / name.format(c)
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(images):
            pixels(c, i).save(folder / f"{i}.png")
    return root


def animation(here: Path) -> Path:
    frames = [pixels(50, i) for i in range(3)]
    frames[0].save(tree(here / "x") / "class000/turning.gif", save_all=True, append_images=frames[1:])
    return here / "x"


def pages(here: Path) -> Path:
    frames = [pixels(51, i) for i in range(2)]
    frames[0].save(tree(here / "x") / "class001/scan.tif", save_all=True, append_images=frames[1:])
    return here / "x"


def other_mode(here: Path) -> Path:
    pixels(52, 0).convert("L").save(tree(here / "x") / "class000/grey.png")
    pixels(52, 1).convert("CMYK").save(here / "x/class001/print.jpg")
    return here / "x"


def copies(here: Path) -> Path:
    folder = tree(here / "x") / "copied"
    folder.mkdir()
    for i in range(50):
        pixels(53, 0).save(folder / f"{i}.png")
    return here / "x"


def twice(here: Path) -> Path:
    shutil.copytree(tree(here / "x") / "class003", here / "x/again")
    return here / "x"


def empty_class(here: Path) -> Path:
    (tree(here / "x") / "nothing").mkdir()
    return here / "x"


def every_size(here: Path) -> Path:
    for n, path in enumerate(sorted(tree(here / "x").rglob("*.png"))):
        pixels(n // 6, n % 6, (40 + 7 * n, 300 - 3 * n)).save(path)
    return here / "x"


def wrapped(here: Path) -> Path:
    with zipfile.ZipFile(here / "x.zip", "w") as archive:
        for path in sorted(tree(here / "src").rglob("*.png")):
            archive.write(path, f"photos/{path.relative_to(here / 'src').as_posix()}")
    return here / "x.zip"


def split_folders(here: Path) -> Path:
    for name, first, classes in (("train", 0, 6), ("val", 6, 5), ("test", 11, 5)):
        tree(here / "x" / name, classes, first=first)
    return here / "x"


def drawn(here: Path, paper: int, ink: int) -> Path:
    for c in range(12):
        (here / "x" / f"letter{c}").mkdir(parents=True)
        for i in range(6):
            image = Image.new("L", (60, 60), paper)
            ImageDraw.Draw(image).line((10 + i, 10 + 3 * c, 45 - c, 40 + i), fill=ink, width=3)
            image.save(here / "x" / f"letter{c}" / f"{i}.png")
    return here / "x"


def turned(here: Path) -> Path:
    """Wide files of a camera, 4,000 pixels long, that EXIF turns upright."""
    for c in range(6):
        (here / "x" / f"class{c}").mkdir(parents=True)
        for i in range(2):
            image = pixels(c, i, (40, 30)).resize((4000, 3000))
            exif = Image.Exif()
            exif[0x0112] = 6
            image.save(here / "x" / f"class{c}" / f"{i}.jpg", exif=exif, quality=40)
    return here / "x"


def groups(here: Path) -> Path:
    for group in ("Apple", "Pepper"):
        tree(here / "x/shop" / group, 12, name=f"{group}{{:02d}}", first=0 if group == "Apple" else 20)
    tree(here / "x/bread", 2, first=40)
    return here / "x"


AUTO = (("episodes.protocols", "auto"), ("episodes.n_query", "auto"), ("gate.min_accuracy", "auto"))
CASES = {
    "an animation": Case(animation, ("73 images, 12 classes", "1 image of several frames or pages, .* first is taken")),
    "a multi-page TIFF": Case(pages, ("73 images, 12 classes", "1 image of several frames or pages")),
    "an image of another mode": Case(
        other_mode, (r"2 images of another mode .* other 72 \(RGB\): 1 CMYK, 1 grey; all become",)
    ),
    "a class that is one image 50 times": Case(
        copies, ("122 images, 13 classes", "used nowhere, as 2 images are needed: 1 class, copied", "1 to 6 different")
    ),
    "two classes of the same images": Case(
        twice, ("in two classes: again and class003 6 images; kshot retrain stops until",)
    ),
    "a class without an image": Case(empty_class, ("add only the others with `kshot init shop --images x --skip`",), 3),
    "every image of another size": Case(every_size, ("72 images, 12 classes",), settings=AUTO),
    "a zip with a wrapping folder": Case(wrapped, ("photos/ around all others is no part", "72 images, 12 classes")),
    "folders train, val and test": Case(
        split_folders, ("6 classes to train on, 5 to validate on, 5 to test on",), settings=(("split.by", "table"),)
    ),
    "8 classes of 12": Case(
        lambda here: tree(here / "x", 8, 12),
        (r"auto \(3w1s, 3w5s now", "2 classes to train on, 3 to validate on, 3 to test on", r"auto \(7 now"),
        settings=(("train.batch.classes", 2),),
    ),
    "5 classes": Case(
        lambda here: tree(here / "x", 5),
        (r"auto \(2w1s now", "1 class in train, 2 in val, 2 in test"),
        settings=(("train.splits", ("train", "val")), ("train.validation.patience", 0)),
    ),
    "4 classes": Case(
        lambda here: tree(here / "x", 4),
        ("4 classes have two different images or more; needs at least 5, two to test on",),
        3,
    ),
    "300 classes of 3": Case(
        lambda here: tree(here / "x", 300, 3), (r"auto \(5w1s, 10w1s, 20w1s now", r"auto \(2 now"), settings=AUTO
    ),
    "drawings on white": Case(
        lambda here: drawn(here, 255, 0),
        ("drawings on a plain background",),
        settings=(("ingest.invert", True), ("ingest.channels", 1), ("ingest.size", 28)),
    ),
    "drawings on black": Case(lambda here: drawn(here, 0, 255), ("drawings on",), settings=(("ingest.invert", False),)),
    "4,000 pixels that EXIF turns": Case(turned, ("3000 pixels on the shorter side", "12 images, 6 classes")),
    "folders within folders": Case(groups, (r"_group now", "of one group, the hard case")),
}


@pytest.mark.parametrize("name", CASES)
def test_images_get_their_settings_or_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES[name]
    source = case.make(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(packaged_weights, "packaged_file", lambda: None)
    code = cli.main(["init", "shop", "--images", source.name, "--from-scratch"])
    out, err = capsys.readouterr()
    told = " ".join((out + err).split())
    assert code == case.code, told
    for pattern in case.shows:
        assert re.search(pattern, told), f"{pattern}: {told}"
    assert (tmp_path / "shop").exists() == (case.code == 0)
    if case.code:
        assert err.count("\n") == 1
        return
    params = load_params(tmp_path / "shop/params.yaml")
    for key, wanted in case.settings:
        found: object = params
        for part in key.split("."):
            found = getattr(found, part)
        assert found == wanted, key
