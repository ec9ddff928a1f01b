"""Classifiers (heads): they predict the classes of an episode's queries from embedded images.

A classifier takes these arguments:

    support (E, S, D)
    labels (S,)         int64 in [0, n_way), of every episode's support; every class present, any number of shots
    query (E, Q, D)
    n_way

It returns scores (E, Q, n_way); the class with the highest score is the prediction. The softmax of the scores over the
classes becomes a probability with a temperature (`kshot.evaluation.calibration`). Inductive classifiers predict each
query by itself. Transductive ones see all queries of an episode at once, which is another task; every figure of theirs
says so.
"""

import importlib

OWN = "method"  # none of these classifiers: the trained method's own scores
SIMPLE_SHOT = "simple_shot"  # inductive; also needs the mean of the training images
INDUCTIVE = ("prototype", "nearest_neighbour", "attention", "cosine_classifier", "logistic_regression")
TRANSDUCTIVE = ("laplacian_shot", "pt_map")

# The distances to class means by which classifiers compare: `kshot.evaluation.mean_distance`.
EUCLIDEAN, COSINE, CENTRED = "euclidean", "cosine", "centred_cosine"
MEAN_DISTANCES = (EUCLIDEAN, COSINE, CENTRED)

_FUNCTIONS = {  # imported when first used: settings are checked without torch
    "attention_scores": "attention",
    "cosine_classifier_scores": "cosine_classifier",
    "laplacian_shot_scores": "laplacian_shot",
    "logistic_regression_scores": "logistic_regression",
    "nearest_neighbour_scores": "nearest_neighbour",
    "prototype_scores": "prototype",
    "pt_map_scores": "pt_map",
    "simple_shot_scores": "simple_shot",
}


def __getattr__(name: str) -> object:
    if name not in _FUNCTIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_FUNCTIONS[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_FUNCTIONS})
