"""The names of the classifiers of kshot and of plug-ins, so that settings are checked without torch."""

from typing import Any

from kshot import plugins
from kshot.classifiers import EUCLIDEAN, INDUCTIVE, MEAN_DISTANCES, OWN, SIMPLE_SHOT, TRANSDUCTIVE
from kshot.params.reader import need

CLASSIFIERS = (OWN, SIMPLE_SHOT, *INDUCTIVE, *TRANSDUCTIVE)


def plugin_classifier(name: str) -> tuple[plugins.Plugin, Any] | None:
    """The plug-in that defines the classifier `name`, and its function; None for kshot's own and unknown names.

    A function with the attribute `transductive = True` sees all queries of an episode at once; `mean_distance` is the
    distance by which it compares. Raises ParamsError for a plug-in that cannot be imported, has a name already in use,
    is not a function or compares by an unknown distance.
    """
    plugin = plugins.find("classifiers", name, CLASSIFIERS)
    if plugin is None:
        return None
    classifier = plugins.load(plugin)
    need(callable(classifier), f"the {plugin} is no function; needs one of (support, labels, query, n_way)")
    given = plugin_distance(classifier)
    need(given in MEAN_DISTANCES, f"the {plugin} has mean_distance {given!r}; needs one of {', '.join(MEAN_DISTANCES)}")
    return plugin, classifier


def plugin_distance(classifier: Any) -> str:
    """One of MEAN_DISTANCES: the attribute `mean_distance` of a plug-in's classifier, Euclidean without it."""
    found: str = getattr(classifier, "mean_distance", EUCLIDEAN)
    return found
