"""How often `kshot drift` calls what is no drift one, and which changes of the images it notices.

    python benchmarks/drift.py PROJECT [FOLDER ...]     # print both tables for the champion of a project

PROJECT is a finished retraining on the built-in set. What has not drifted is the same letters drawn anew, by other
hands (seeds 1, 2, ...; a minute each); what has is made of those drawings. A FOLDER of other classes is one more kind.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps
from sklearn.datasets import load_digits, load_sample_images

from kshot.drift.drift_limits import Measure, judge
from kshot.drift.held_out_samples import Shape, held_out_samples
from kshot.drift.measures import statistics, take
from kshot.glyphs.draw import draw
from kshot.lifecycle.drift.measured_images import measure_images
from kshot.lifecycle.drift.reference import Reference, read_reference
from kshot.lifecycle.drift.source import NewImages
from kshot.lifecycle.registry import model_versions
from kshot.lifecycle.sources.classes import Reading
from kshot.lifecycle.sources.source_images import read_source

SEEDS = (1, 2, 3)
SAMPLES = 20  # of each seed and shape
SHAPES = {  # classes, images of each
    "30 letters, 10 images each": (30, 10),
    "10 letters, 5 images each": (10, 5),
    "5 letters, 2 images each": (5, 2),
}
IMAGES = (20, 100)  # unlabelled images, drawn from all letters
CLASSES, OF_EACH, REPEATS = 20, 10, 3  # of a sample that has drifted


_drawn: dict[tuple[Shape, bool], list[dict[str, float]]] = {}


def verdict(reference: Reference, new: NewImages) -> list[Measure]:
    """The measures of new images, as `kshot drift` takes them."""
    held = reference.held_out
    shape = new.shape(max(1, round(float(np.median(np.bincount(held.labels))))))
    if (shape, new.labelled) not in _drawn:
        rows = held_out_samples(held.labels, reference.groups, shape, np.random.default_rng(0))
        drawn = [statistics(take(held, some), reference.trained, labelled=new.labelled) for some in rows]
        _drawn[shape, new.labelled] = drawn
    found = statistics(reference.sample(new.facts, new.labels), reference.trained, labelled=new.labelled)
    return judge(found, _drawn[shape, new.labelled])


def looked_at(folder: Path, reference: Reference, rows: Callable[[list[str]], np.ndarray] | None = None) -> NewImages:
    """All images of a folder of classes, or those whose places `rows` of their labels are."""
    with tempfile.TemporaryDirectory() as scratch:
        images = read_source(folder, Path(scratch) / "unpacked", Reading(unlabelled=True)).images
        if rows is not None:
            images = [images[row] for row in rows([image.label for image in images])]
        facts = measure_images([image.file for image in images], reference.method, Path(scratch))
    labels = [image.label for image in images]
    names = sorted(set(labels))
    groups = {image.group for image in images}
    numbers = np.array([names.index(label) for label in labels])
    return NewImages(facts, numbers, names != [""], tuple(names), len(groups), len(labels), ())


def part(new: NewImages, rows: np.ndarray, labelled: bool = True) -> NewImages:
    """Some of the images, with or without their labels."""
    facts = type(new.facts)(new.facts.appearance_stats[rows], new.facts.points[rows], np.arange(len(rows)), (), ())
    names, labels = np.unique(new.labels[rows], return_inverse=True)
    if not labelled:
        return NewImages(facts, np.zeros(len(rows), np.int64), False, ("",), 0, len(rows), ())
    chosen = tuple(new.names[name] for name in names)
    groups = {name.rpartition("/")[0] for name in chosen}
    return NewImages(facts, labels, True, chosen, len(groups), len(rows), ())


def fresh_samples(new: NewImages, kind: str, generator: np.random.Generator) -> Iterator[NewImages]:
    """Samples of one drawing of the whole set."""
    groups = np.array([name.rpartition("/")[0] for name in new.names])
    for number in range(SAMPLES):
        if kind.endswith("unlabelled"):
            size = int(kind.split()[0])
            yield part(new, generator.permutation(len(new.labels))[:size], labelled=False)
            continue
        classes, images = SHAPES.get(kind, (15, 10))
        pool = np.arange(len(new.names))
        if kind not in SHAPES:
            pool = np.flatnonzero(groups == np.unique(groups)[number % len(np.unique(groups))])
        chosen = generator.permutation(pool)[:classes]
        rows = [generator.permutation(np.flatnonzero(new.labels == one))[:images] for one in chosen]
        yield part(new, np.concatenate(rows), labelled="no labels" not in kind)


def false_alarms(reference: Reference, drawings: dict[int, NewImages]) -> None:
    """How many samples of fresh drawings are called drifted, by shape."""
    kinds = [
        *SHAPES,
        "15 letters of one alphabet, 10 images each",
        "15 letters of one alphabet, 10 images each, no labels",
        *(f"{size} images of all letters, unlabelled" for size in IMAGES),
    ]
    print("| fresh drawings | samples | called drifted | by |\n|---|---|---|---|")
    for kind in kinds:
        alarms: dict[str, int] = {}
        called = total = 0
        for seed, new in drawings.items():
            for sample in fresh_samples(new, kind, np.random.default_rng(seed)):
                by = [one.name for one in verdict(reference, sample) if one.drifted]
                total, called = total + 1, called + bool(by)
                for name in by:
                    alarms[name] = alarms.get(name, 0) + 1
        told = ", ".join(f"{by} {count}" for by, count in sorted(alarms.items(), key=lambda pair: -pair[1]))
        print(f"| {kind} | {total} | {called} ({100 * called / total:.1f} %) | {told} |", flush=True)


def dimmed(share: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.point(lambda value: round(value * share))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "light and dark exchanged": lambda image: ImageOps.invert(image),
    "at 95 % of the light": dimmed(0.95),
    "at 80 % of the light": dimmed(0.8),
    "at 50 % of the light": dimmed(0.5),
    "half the contrast": lambda image: image.point(lambda value: 128 + (value - 128) // 2),
    "blurred, 1 pixel of 105": lambda image: image.filter(ImageFilter.GaussianBlur(1)),
    "blurred, 2 pixels of 105": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "blurred, 4 pixels of 105": lambda image: image.filter(ImageFilter.GaussianBlur(4)),
    "noise of 10 % of the range": lambda image: Image.fromarray(
        (np.asarray(image) + np.random.default_rng(0).normal(0, 25, image.size[::-1])).clip(0, 255).astype(np.uint8)
    ),
    "of 52 pixels instead of 105": lambda image: image.resize((52, 52)),
    "of 120 pixels instead of 105": lambda image: image.resize((120, 120)),
    "turned by 90 degrees": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "mirrored": lambda image: ImageOps.mirror(image),
}


def name(place: Path) -> str:
    """The class of a folder of a drawing."""
    return f"{place.parent.name}/{place.name}"


def write_changed(
    source: Path, folder: Path, known: set[str], change: Callable[[Image.Image], Image.Image], seed: int
) -> Path:
    """Some classes of a drawing that are `known`, each image changed."""
    generator = np.random.default_rng(seed)
    classes = [place for place in sorted({file.parent for file in source.rglob("*.png")}) if name(place) in known]
    for place in generator.permutation(len(classes))[:CLASSES]:
        for file in generator.permutation(sorted(classes[place].glob("*.png")))[:OF_EACH]:
            target = folder / file.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            with Image.open(file) as image:
                change(image.convert("L")).save(target)
    return folder


def write_strange(folder: Path) -> dict[str, Path]:
    """scikit-learn's digits and pieces of its photographs, enlarged to 105 pixels, one folder a class."""
    digits, photographs = load_digits(), [Image.fromarray(one).convert("L") for one in load_sample_images().images]
    generator = np.random.default_rng(0)
    for number in range(10):
        for place, image in enumerate(digits.images[digits.target == number][: 2 * OF_EACH]):
            target = folder / "digits" / str(number) / f"{place}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((255 - 255 / 16 * image).astype(np.uint8)).resize((105, 105)).save(target)
    for number in range(CLASSES):
        photograph = photographs[number % 2]
        x, y = (int(generator.integers(0, most - 128)) for most in photograph.size)
        for place in range(OF_EACH):
            target = folder / "photographs" / str(number) / f"{place}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            a, b = (int(one) for one in generator.integers(0, 20, 2))
            photograph.crop((x + a, y + b, x + a + 105, y + b + 105)).save(target)
    return {name: folder / name for name in ("digits", "photographs")}


def noticed(reference: Reference, drawings: dict[int, Path], known: set[str], others: list[Path]) -> None:
    """Which measures say that changed images have drifted, with labels and without."""
    print(f"\n| {CLASSES} x {OF_EACH} images | labelled | unlabelled | measures, in how many labelled ones |")
    print("|---|---|---|---|")
    seeds = list(drawings)[:REPEATS]

    def row(kind: str, samples: list[NewImages]) -> None:
        alarms: dict[str, int] = {}
        counts = [0, 0]
        for sample in samples:
            for place, labelled in enumerate((True, False)):
                new = part(sample, np.arange(len(sample.labels)), labelled)
                by = [one.name for one in verdict(reference, new) if one.drifted]
                counts[place] += bool(by)
                for name in by if labelled else ():
                    alarms[name] = alarms.get(name, 0) + 1
        told = ", ".join(f"{by} {count}" for by, count in sorted(alarms.items(), key=lambda pair: -pair[1]))
        print(f"| {kind} | {counts[0]} of {len(samples)} | {counts[1]} of {len(samples)} | {told} |", flush=True)

    with tempfile.TemporaryDirectory() as scratch:
        for number, (kind, change) in enumerate(CHANGES.items()):
            places = [write_changed(drawings[s], Path(scratch) / f"{number}-{s}", known, change, s) for s in seeds]
            row(kind, [looked_at(place, reference) for place in places])
        strange = write_strange(Path(scratch)) | {f"classes of {one.name}": one for one in others}
        for kind, folder in strange.items():
            row(kind, [looked_at(folder, reference, partial(some, seed=s)) for s in seeds])


def some(labels: list[str], seed: int) -> np.ndarray:
    """The places of some images of some classes."""
    generator, names = np.random.default_rng(seed), np.array(labels)
    chosen = generator.permutation(np.unique(names))[:CLASSES]
    return np.concatenate([generator.permutation(np.flatnonzero(names == name))[:OF_EACH] for name in chosen])


def main(root: Path, others: list[Path]) -> None:
    champion = model_versions.champion(root)
    assert champion is not None, "no champion: kshot retrain"
    reference = read_reference(root, champion)
    place = root / ".kshot" / "fresh"
    for seed in SEEDS:
        if not (place / str(seed)).exists():
            draw(place / str(seed), seed=seed)
    drawings = {seed: place / str(seed) for seed in SEEDS}
    known = {image.label for image in read_source(root / "data/raw/images", place).images}

    def of_the_data(labels: list[str]) -> np.ndarray:
        return np.array([row for row, label in enumerate(labels) if label in known])

    false_alarms(reference, {seed: looked_at(folder, reference, of_the_data) for seed, folder in drawings.items()})
    noticed(reference, drawings, known, others)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
