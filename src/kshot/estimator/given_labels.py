"""Checks the labels that a caller gives with images, and makes them one array without changing any."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kshot.errors import DataError

NEEDED = "needs text, or whole numbers, for all images"


def checked_labels(labels: ArrayLike, n_images: int) -> NDArray[Any]:
    """`labels` as an array (n_images,), each equal to the one given. Raises DataError that names what does not fit."""
    if isinstance(labels, str | bytes):
        raise DataError(f"labels is the text {labels!r}; needs a list with one label an image")
    try:
        listed = list(labels)  # type: ignore[arg-type]
    except TypeError:
        raise DataError(f"labels is {labels!r}; needs a list with one label an image") from None
    for place, label in enumerate(listed):
        _check_label(label, f"labels[{place}]")
    if len(listed) > n_images:
        raise DataError(
            f"there are {len(listed)} labels for {n_images} images, so that labels[{n_images}] "
            f"({listed[n_images]!r}) has no support image; needs one label an image"
        )
    if len(listed) < n_images:
        raise DataError(f"there are {len(listed)} labels for {n_images} images; needs one label an image")
    return _array(listed)


def _check_label(label: Any, name: str) -> None:
    """Raise DataError for a label that is missing or no single value."""
    if isinstance(label, list | tuple | set | dict) or getattr(label, "ndim", None):
        shape = f" of shape {tuple(label.shape)}" if hasattr(label, "shape") else ""
        raise DataError(
            f"{name} is a {type(label).__name__}{shape}; needs one label an image: labels.argmax(1) for one-hot rows"
        )
    infinite = isinstance(label, float | np.floating) and not np.isfinite(label)
    if label is None or _is_missing(label) or infinite or (isinstance(label, str | bytes) and not label):
        raise DataError(f"{name} is {label!r}; a support image needs a label")


def _is_missing(label: Any) -> bool:
    """Whether it is NaN, NaT or pandas' NA, which are not equal to themselves."""
    try:
        return bool(label != label)
    except TypeError:  # pandas' NA has no truth
        return True


def _array(listed: list[Any]) -> NDArray[Any]:
    """An array of labels that numpy holds as they are: it would make floats of large integers, and cut ends of text."""
    found = np.asarray(listed)
    kinds = {type(label).__name__ for label in listed if not isinstance(label, str)}
    plain = [label.item() if hasattr(label, "item") else label for label in listed]
    if found.dtype.kind in "Of" and all(type(label) is int and 0 <= label < 2**64 for label in plain):
        found = np.array(plain, dtype=np.uint64)  # such as hashes of 64 bits: too large for int64
    if found.ndim != 1 or found.dtype.kind not in "biuUSf" or (found.dtype.kind in "US" and kinds - {"bytes"}):
        found_kinds = ", ".join(sorted({type(label).__name__ for label in listed}))
        raise DataError(f"labels are of type {found_kinds}; {NEEDED}")
    for place, (given, converted) in enumerate(zip(plain, found.tolist(), strict=True)):
        if given != converted:
            raise DataError(f"labels[{place}] is {given!r}, which becomes, with the others, {converted!r}; {NEEDED}")
    return found
