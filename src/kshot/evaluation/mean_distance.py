"""The distance from queries to class means that decides whether a query is unknown: the one its classifier compares by.

A classifier that compares directions ignores the length of a point. A threshold on Euclidean distance would depend on
that length.
"""

from collections.abc import Callable

from torch import Tensor

from kshot.classifiers import CENTRED, COSINE, EUCLIDEAN, OWN
from kshot.distances import cosine_distance, euclidean
from kshot.methods.method import Method
from kshot.params.classifiers import plugin_classifier, plugin_distance

OF_CLASSIFIER = {  # those that compare by Euclidean distance have no line
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
    """One of MEAN_DISTANCES: what `classifier` compares by, or `method` if the classifier is its own.

    Raises ParamsError for a plug-in's classifier that cannot be imported.
    """
    if classifier == OWN:
        return method.mean_distance
    plugin = plugin_classifier(classifier)
    return plugin_distance(plugin[1]) if plugin else OF_CLASSIFIER.get(classifier, EUCLIDEAN)


def mean_distance(method: Method, name: str) -> MeanDistance:
    """The distance called `name`, for points embedded by `method`.

    Cosine distances are 1 - cos, in [0, 2]. CENTRED first subtracts the mean embedding of the training images.
    """
    if name != CENTRED:
        return {EUCLIDEAN: euclidean, COSINE: cosine_distance}[name]
    origin = method.centre.cpu()
    return lambda query, means: cosine_distance(query - origin, means - origin)
