"""The distance from queries to class means that decides whether a query is unknown: the one its classifier compares by.

A classifier that compares directions ignores the length of a point, so that a threshold on Euclidean distance would
decide by something that says nothing of the class.
"""

from collections.abc import Callable

from torch import Tensor

from kshot.classifiers import OWN
from kshot.distances import cosine_distance, euclidean
from kshot.methods.method import Method

EUCLIDEAN, COSINE = "euclidean", "cosine"
CENTRED = "centred_cosine"  # of points less the mean embedding of the training images
OF_CLASSIFIER = {  # those that compare by Euclidean distance, plug-ins among them, have no line
    "attention": COSINE,
    "cosine_classifier": COSINE,
    "logistic_regression": COSINE,
    "pt_map": COSINE,
    "simple_shot": CENTRED,
    "laplacian_shot": CENTRED,
}

# Distances of queries (..., Q, D) to class means (..., C, D): (..., Q, C).
MeanDistance = Callable[[Tensor, Tensor], Tensor]


def distance_name(method: Method, classifier: str) -> str:
    """EUCLIDEAN, COSINE or CENTRED: what `classifier` compares by, or `method` if the classifier is its own."""
    return method.mean_distance if classifier == OWN else OF_CLASSIFIER.get(classifier, EUCLIDEAN)


def mean_distance(method: Method, name: str) -> MeanDistance:
    """The distance called `name`, for points embedded by `method`. Cosine distances are 1 - cos, in [0, 2]."""
    if name != CENTRED:
        return {EUCLIDEAN: euclidean, COSINE: cosine_distance}[name]
    origin = method.centre.cpu()
    return lambda query, means: cosine_distance(query - origin, means - origin)
