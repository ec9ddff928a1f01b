"""The reference for drift: the champion's training images, from its own model and data version.

The current content of the project does not matter. A sample of every class of the champion's data version is read once;
the result is cached under .kshot/drift.
"""

import contextlib
import dataclasses
import hashlib
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from kshot.distances import euclidean
from kshot.drift.measures import Sample, Trained, appearance_quantiles, fourier_features
from kshot.errors import DataError, RegistryError
from kshot.evaluation.inference import Inference, inference_method, load_inference
from kshot.evaluation.mean_distance import MeanDistance, mean_distance
from kshot.lifecycle.data.cached_images import CachedImage, files, images
from kshot.lifecycle.drift.measured_images import MeasuredImages, measure_images
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import exclusive
from kshot.lifecycle.registry import registered_files
from kshot.lifecycle.registry.model_versions import Registered
from kshot.lifecycle.stages.device import project_device
from kshot.lifecycle.tasks.task_model import narrowed
from kshot.methods.method import Method
from kshot.tasks.embedding import Task, embed_task
from kshot.tasks.space import TaskSpace, learn_space

FOLDER = layout.STATE / "drift"
LOOKED_AT = 3000  # images in total of the trained-on classes, and of the held-out classes
FEWEST, MOST = 3, 100  # images per class, whatever the number of classes
SHOTS = 5  # known images of a held-out class if no threshold gives a number
FORM = "2"  # format of the cached file; a new number causes it to be computed again


@dataclasses.dataclass(frozen=True)
class Reference:
    """A version with its measures. `groups[c]`: of held-out class c; `classes`: numbers trained on and held out.

    between: the distance to class means by which the version's thresholds were set; trained_means, known_means: of the
    classes that were trained on and of the known images of held-out classes
    """

    version: str
    data_version: str
    method: Method
    trained: Trained
    held_out: Sample
    groups: tuple[str, ...]
    classes: tuple[int, int]
    shown: tuple[bytes, ...]
    trained_means: Tensor
    known_means: Tensor
    between: MeanDistance
    threshold: float | None

    def sample(self, facts: MeasuredImages, labels: NDArray[np.int64]) -> Sample:
        """Images in the form that measures compare with this version."""
        return _sample(facts.appearance_stats, facts.points, labels, self)


def read_reference(root: Path, champion: Registered) -> Reference:
    """The reference of a registered version, from the cache or computed.

    Raises RegistryError if the model is gone or does not say what it was trained on, DataError if its data is gone.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = registered_files.model_files(root, champion.version, Path(scratch))
        inference = load_inference(folder)
        method = inference_method(folder, inference, project_device(root))
        weights = b"".join(file.read_bytes() for file in sorted(folder.iterdir()) if file.is_file())
    version = champion.tags.get("kshot.data_version", "")
    trained_on = set(method.embedding.settings.trained_on)
    if not version or not trained_on:
        raise RegistryError(
            f"version {champion.version} does not say which data it was trained on, so nothing can be compared with "
            "it; needs a champion that kshot trained and registered: `kshot retrain`"
        )
    shots = max(inference.thresholds, default=SHOTS)
    chosen = _choose(images(root, version), trained_on, shots)
    key = hashlib.sha256(f"{FORM} {version} {LOOKED_AT} {shots} ".encode() + weights).hexdigest()[:16]
    facts = _cached_facts(root, key, version, [image for image, _ in chosen], method)
    return _reference(champion.version, version, method, inference, facts, [chosen[row] for row in facts.read], shots)


def _choose(stored: list[CachedImage], trained_on: set[str], shots: int) -> list[tuple[CachedImage, bool]]:
    """A fixed sample of every class, each image with whether its class was trained on."""
    classes: dict[str, list[CachedImage]] = {}
    for image in stored:
        classes.setdefault(image.label, []).append(image)
    held_out = [name for name in classes if name not in trained_on]
    if len(held_out) < 2 or len(held_out) == len(classes):
        raise RegistryError(
            f"of the {len(classes)} classes of the champion's data version {len(classes) - len(held_out)} were trained "
            "on; needs at least two that were and two that were not: the limits are learned from those"
        )
    a_class = {
        True: min(MOST, max(FEWEST, LOOKED_AT // (len(classes) - len(held_out)))),
        False: min(MOST, max(FEWEST, LOOKED_AT // len(held_out))) + shots,
    }
    generator, chosen = np.random.default_rng(0), []
    for name, members in classes.items():
        rows = generator.permutation(len(members))[: a_class[name in trained_on]]
        chosen += [(members[row], name in trained_on) for row in rows]
    return chosen


def _cached_facts(root: Path, key: str, version: str, chosen: list[CachedImage], method: Method) -> MeasuredImages:
    path = root / FOLDER / f"{key}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(root, "drift"):
        # A damaged file is computed and written again.
        with contextlib.suppress(OSError, KeyError, ValueError, zipfile.BadZipFile), np.load(path) as arrays:
            shown = tuple(arrays[f"shown{number}"].tobytes() for number in range(int(arrays["count"])))
            return MeasuredImages(arrays["looks"], torch.from_numpy(arrays["points"]), arrays["read"], shown, ())
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            facts = measure_images(files(root, version, [image.md5 for image in chosen]), method, Path(scratch), root)
            fresh = Path(scratch) / path.name
            arrays = {f"shown{number}": np.frombuffer(one, np.uint8) for number, one in enumerate(facts.shown)}
            arrays |= {"looks": facts.appearance_stats, "points": facts.points.numpy(), "read": facts.read}
            np.savez(fresh, allow_pickle=False, count=len(facts.shown), **arrays)
            for old in path.parent.glob("*.npz"):  # of earlier champions
                old.unlink()
            fresh.replace(path)
    return facts


def _reference(
    number: str,
    version: str,
    method: Method,
    inference: Inference,
    facts: MeasuredImages,
    chosen: list[tuple[CachedImage, bool]],
    shots: int,
) -> Reference:
    names = [image.label for image, _ in chosen]
    trained_on = np.array([trained for _, trained in chosen])
    labels = np.unique(names, return_inverse=True)[1].astype(np.int64)
    # The first `shots` images of a held-out class are its known images; its others are the queries.
    support = pd.Series(labels).groupby(labels).cumcount().to_numpy() < shots
    queries = ~trained_on & ~support
    if len(np.unique(labels[queries])) < 2:
        raise DataError(
            f"data version {version[:8]} has fewer than two held-out classes with more than {shots} images; the limits "
            "are learned from those: add images to its classes"
        )
    _, at, first = np.unique(labels[queries], return_index=True, return_inverse=True)
    groups = tuple(chosen[row][0].group for row in np.flatnonzero(queries)[at])
    appearance_stats = appearance_quantiles(facts.appearance_stats[trained_on])
    classes = (len(np.unique(labels[trained_on])), len(np.unique(labels[~trained_on])))
    none = torch.empty(0)
    made = Reference(
        version=number,
        data_version=version,
        method=method,
        trained=Trained(appearance_stats),
        held_out=Sample(facts.appearance_stats[queries], first),
        groups=groups,
        classes=classes,
        shown=facts.shown,
        trained_means=none,
        known_means=none,
        between=mean_distance(method, inference.distance),
        threshold=None,
    )
    if not method.has_fixed_embedding:
        return made
    made = dataclasses.replace(
        made,
        trained=Trained(appearance_stats, space=_space(narrowed(facts.points), labels, trained_on)),
        trained_means=_means(facts.points, labels, trained_on),
        known_means=_means(facts.points, labels, support),
        threshold=inference.threshold(shots),
    )
    return _with_space(made, facts, labels, trained_on, queries)


def _with_space(
    made: Reference, facts: MeasuredImages, labels: NDArray[np.int64], trained_on: NDArray[Any], queries: NDArray[Any]
) -> Reference:
    space = made.trained.space
    assert space is not None
    narrow = narrowed(facts.points)
    held_out = _sample(facts.appearance_stats[queries], facts.points[queries], made.held_out.labels, made)
    assert held_out.distance is not None
    task = Task(narrow[trained_on], torch.from_numpy(np.unique(labels[trained_on], return_inverse=True)[1]))
    trained = Trained(
        appearance_stats=made.trained.appearance_stats,
        mean_fourier=fourier_features(narrow[trained_on], space).mean(0),
        task=embed_task(task, space),
        space=space,
        held_out_distance=float(held_out.distance.mean()),
    )
    return dataclasses.replace(made, trained=trained, held_out=held_out)


def _sample(
    appearance_stats: NDArray[np.float64], points: Tensor, labels: NDArray[np.int64], made: Reference
) -> Sample:
    space = made.trained.space
    if space is None:
        return Sample(appearance_stats, labels)
    narrow = narrowed(points)
    unknown = None
    if made.threshold is not None:
        unknown = (made.between(points, made.known_means).amin(1) > made.threshold).double().numpy()
    distance = euclidean(points, made.trained_means).amin(1).double().numpy()
    return Sample(appearance_stats, labels, narrow, distance, unknown, fourier_features(narrow, space))


def _space(narrow: Tensor, labels: NDArray[np.int64], trained_on: NDArray[Any]) -> TaskSpace:
    parts = {
        kind: [narrow[labels == label] for label in np.unique(labels[trained_on == kind])] for kind in (True, False)
    }
    return learn_space(parts[True], parts[False], torch.Generator().manual_seed(0))


def _means(points: Tensor, labels: NDArray[np.int64], rows: NDArray[Any]) -> Tensor:
    """The mean of each class over these rows, (C, D) float64."""
    return torch.stack([points[(labels == label) & rows].double().mean(0) for label in np.unique(labels[rows])])
