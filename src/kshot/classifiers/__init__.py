"""Heads: how the queries of an episode are answered from embedded images.

A head takes support (E, S, D), labels (S,) int64 in [0, n_way) of every episode's support, each class present, shots of
any number, query (E, Q, D) and n_way; it returns scores (E, Q, n_way), the highest being the answer. Their softmax over
the classes is not calibrated: it is no probability. Inductive heads answer each query by itself; transductive ones see
all queries of an episode at once, which is another task, and every figure of theirs says so.
"""

import importlib

OWN = "method"  # no head of these: as the method that was trained answers
SIMPLE_SHOT = "simple_shot"  # inductive; needs the mean of the training images besides
INDUCTIVE = ("prototype", "nearest_neighbour", "attention", "cosine_classifier", "logistic_regression")
TRANSDUCTIVE = ("laplacian_shot", "pt_map")

_FUNCTIONS = {  # imported when first used: settings are checked without torch
    "attention_head": "attention",
    "cosine_classifier_head": "cosine_classifier",
    "laplacian_shot_head": "laplacian_shot",
    "logistic_regression_head": "logistic_regression",
    "nearest_neighbour_head": "nearest_neighbour",
    "prototype_head": "prototype",
    "pt_map_head": "pt_map",
    "simple_shot_head": "simple_shot",
}


def __getattr__(name: str) -> object:
    if name not in _FUNCTIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_FUNCTIONS[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_FUNCTIONS})
