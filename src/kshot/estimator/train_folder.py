"""Trains a model from a folder of images, without a project."""

import contextlib
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from kshot import plugins
from kshot.data.batches import gather, resident
from kshot.data.images import content_hash
from kshot.data.splits import rank
from kshot.errors import DataError, ParamsError
from kshot.estimator.class_folders import ClassFolders, read_class_folders
from kshot.estimator.episode_accuracy import members_of
from kshot.estimator.few_shot_classifier import FewShotModel
from kshot.estimator.image_arrays import prepared
from kshot.estimator.inference_settings import held_out_episodes, inference_settings
from kshot.estimator.stored_model import stored_in
from kshot.estimator.train_settings import shipped, train_settings
from kshot.evaluation.inference import Inference, save_inference
from kshot.first_few import first_few
from kshot.methods.method import Method
from kshot.methods.saving import save_method
from kshot.nets.devices import choose_device
from kshot.nets.embedding import Embedding, in_precision
from kshot.nets.new_embedding import new_embedding
from kshot.params.schema import Params
from kshot.training.loop import meta_train
from kshot.training.new_method import new_method
from kshot.training.random_state import deterministic
from kshot.training.records import Done, Step, Validation
from kshot.training.reduction import fit_reduction

LEAST_HELD_OUT = 5  # classes: with fewer, validation would be 4-way at most; no other number was tried
LARGEST_SHARE = 1 / 3  # largest share of the classes for validation; if 5 exceed it, all classes are trained on


class Divided(NamedTuple):
    """The classes for training and for validation, and the unused classes of a test folder."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]


def train(
    folder: str | Path,
    *,
    loss: str | Callable[..., Any] | None = None,
    method: str | None = None,
    steps: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    progress: bool = True,
    **settings: Any,
) -> FewShotModel:
    """Train a model on the images below `folder`, and validate it on classes that are held out of the training.

    folder:   folder/CLASS/image.png, where CLASS may be a path of any depth; or folder/train/CLASS/..., with val/ and
              optionally test/, which is never used. If train/ and val/ have the same classes, their images are put
              together with a warning; classes that overlap in part are refused. Without val/, 15 % of the classes (the
              shipped share), at least 5, are held out for validation. With fewer than 15 classes none is held out, and
              training uses all classes for all steps.
    loss:     of the method metric, such as "triplet" or "supervised_contrastive" (docs/losses.md), or your own: a
              function (points (B, D), labels (B,)) that returns a scalar, or an nn.Module class (docs/plugins.md)
    method:   such as "prototypical", "maml" or "matching"; see docs/methods.md. Neither: as shipped
    steps, seed, device: as train.steps, train.seed and train.device of params.yaml
    progress: whether to show a progress bar and one line about the training data
    settings: any other setting of train and ingest in params.yaml by one word, such as size=64, channels=3,
              invert=False, backbone="resnet12", margin=0.2, classes_per_batch=20, head_dim=64. The others have the
              shipped values (kshot/template/params.yaml), except that batches are no larger than the data

    Files that are not images by name are skipped with a warning. If classes were held out, the model stores thresholds
    for `is_unknown` and temperatures for `predict_proba`. The same seed, images and machine give the same model. Raises
    DataError for a folder without two classes of two images each and for an image that cannot be read, ParamsError for
    settings that do not fit, TrainingDiverged for a loss that is not finite.

    >>> import kshot
    >>> model = kshot.train("letters/", loss="triplet", steps=600)  # doctest: +SKIP
    >>> model.save("model/")  # doctest: +SKIP
    """
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(plugins.given("losses", loss)) if callable(loss) else loss
        named = {"loss": name, "method": method, "steps": steps, "seed": seed, "device": device}
        return _train(
            Path(folder), {key: value for key, value in named.items() if value is not None} | settings, progress
        )


def _train(folder: Path, changes: Mapping[str, Any], progress: bool) -> FewShotModel:
    _check_settings(changes)
    found = read_class_folders(folder)
    divided = divide(found, changes.get("seed", shipped().train.seed))
    files = {name: found.files[name] for name in (*divided.train, *divided.val)}
    smallest = _smallest({name: files[name] for name in divided.train})
    params = train_settings(changes, len(divided.train), smallest)
    labels = np.array([name for name, paths in files.items() for _ in paths])
    pixels = prepared([path for paths in files.values() for path in paths], params.ingest, str(folder))
    if found.note:
        warnings.warn(found.note, stacklevel=3)
    if found.left_out:
        warnings.warn(_left_out(found, folder), stacklevel=3)
    if progress:
        tqdm.write(_announced(params, divided, len(pixels)))
    return _trained(params, divided, pixels, labels, progress=progress)


def divide(found: ClassFolders, seed: int) -> Divided:
    """Divide the classes into training and validation. Raises DataError for fewer than two training classes."""
    train, val, test = (
        tuple(name for name in found.files if found.splits.get(name, "train") == split)
        for split in ("train", "val", "test")
    )
    if not val:
        held_out = _held_out(train, seed)
        train, val = (
            tuple(name for name in train if name not in held_out),
            tuple(name for name in train if name in held_out),
        )
    if len(train) < 2:
        raise DataError(f"there is {len(train)} class to train on ({', '.join(train)}); needs 2 or more")
    return Divided(train, val, test)


def _held_out(names: Sequence[str], seed: int) -> set[str]:
    """The validation classes: whole groups if there are several, else classes by rank; none if there are too few."""
    wanted = max(LEAST_HELD_OUT, round(shipped().split.val * len(names)))
    most = len(names) * LARGEST_SHARE
    if wanted > most:
        return set()
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.rpartition("/")[0], []).append(name)
    chosen: set[str] = set()
    if len(groups) >= 3 and "" not in groups:
        for group in rank(groups, seed):
            if len(chosen) < wanted and len(chosen) + len(groups[group]) <= most:
                chosen |= set(groups[group])
    return chosen if len(chosen) >= LEAST_HELD_OUT else set(rank(names, seed)[:wanted])


def _trained(
    params: Params, divided: Divided, pixels: NDArray[np.uint8], labels: NDArray[np.str_], *, progress: bool
) -> FewShotModel:
    train, device = params.train, choose_device(params.train.device)
    if train.processes not in ("auto", 1):
        raise ParamsError(
            f"processes is {train.processes}; kshot.train runs in this process: leave it out, or use a project and "
            "`kshot retrain`"
        )
    members = members_of([content_hash(image) for image in pixels], labels)
    held_out = [members[name] for name in divided.val]
    learnt = [np.flatnonzero(labels == name) for name in divided.train]
    with deterministic(train.seed, device):
        embedding = new_embedding(params, Path())
        method = new_method(embedding, train, divided.train).method
        method = method.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        inputs = resident(_features(embedding, pixels, params, device) if train.network.is_frozen else pixels, device)
        records = meta_train(
            method,
            inputs,
            learnt,
            divided.train,
            train,
            groups=[name.rpartition("/")[0] for name in divided.train],
            validation=held_out_episodes(params, held_out, params.episodes.by_name[train.validation.protocol]),
        )
        _follow(records, train.steps, progress=progress)
        if train.projection.reduce.wanted:
            fit_reduction(method, inputs, np.concatenate(learnt), train.projection.reduce)
        embedding.describe(device=device.type)
        return _as_saved(method, inference_settings(method, params, inputs, held_out), device)


def _follow(records: Any, steps: int, *, progress: bool) -> None:
    """Run the training and show loss and validation accuracy."""
    shown: dict[str, str] = {}
    with tqdm(total=steps, desc="train", unit="step", disable=not progress) as bar:
        for record in records:
            bar.update(record.step - bar.n)
            if isinstance(record, Step):
                shown["loss"] = f"{record.loss:.4f}"
            if isinstance(record, Validation):
                shown["validation"] = f"{record.val_accuracy:.1%}"
            bar.set_postfix(shown, refresh=False)
            if isinstance(record, Done) and progress:
                bar.write(record.reason)


def _features(
    embedding: Embedding, pixels: NDArray[np.uint8], params: Params, device: torch.device
) -> NDArray[np.float32]:
    """The features of a frozen backbone for every image, as in stage embed."""
    embedding.eval()
    with in_precision(embedding, bf16=params.embed.precision == "bf16"), torch.inference_mode():
        parts = torch.arange(len(pixels)).split(params.embed.batch_size)  # type: ignore[no-untyped-call]
        return torch.cat([embedding.features(gather(pixels, part).to(device)).float().cpu() for part in parts]).numpy()


def _as_saved(method: Method, inference: Inference, device: torch.device) -> FewShotModel:
    """The model as loaded from a folder: without the parts that only training needs."""
    with tempfile.TemporaryDirectory() as scratch:
        save_method(method, Path(scratch))
        save_inference(inference, Path(scratch))
        return FewShotModel(*stored_in(Path(scratch), device.type))


def _check_settings(changes: Mapping[str, Any]) -> None:
    """Raise ParamsError for an unknown setting before any image is read."""
    train_settings(changes, n_classes=shipped().train.batch.class_count, smallest=shipped().train.batch.images)
    if changes.get("splits") is not None:
        raise ParamsError("splits is a setting of projects; here the folder says which classes are trained on")


def _smallest(files: Mapping[str, Sequence[Path]]) -> int:
    name = min(files, key=lambda name: len(files[name]))
    if len(files[name]) < 2:
        raise DataError(f"class {name!r} has 1 image; training needs 2 or more of each class: add images, or drop it")
    return len(files[name])


def _left_out(found: ClassFolders, folder: Path) -> str:
    names = [path.relative_to(folder).as_posix() for path in found.left_out]
    return f"left out, as no image by name, a mask, or in no class folder: {first_few(names)}"


def _announced(params: Params, divided: Divided, n_images: int) -> str:
    train, size = params.train, params.ingest.size
    by = f"{train.loss.name} loss" if train.method.name == "metric" else train.method.name
    colour = "grey" if params.ingest.channels == 1 else "RGB"
    val = f", {len(divided.val)} held out to validate" if divided.val else ", none held out (too few)"
    test = f", {len(divided.test)} of the test folder not used" if divided.test else ""
    return (
        f"{train.network.backbone} by {by}: {n_images:,} images, {size} x {size} {colour}; "
        f"{len(divided.train)} classes to train on{val}{test}"
    )
