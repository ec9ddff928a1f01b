"""The names of the classifiers of kshot and of plug-ins, so that settings are checked without torch."""

from typing import Any

from kshot import plugins
from kshot.classifiers import INDUCTIVE, OWN, SIMPLE_SHOT, TRANSDUCTIVE
from kshot.params.reader import need

CLASSIFIERS = (OWN, SIMPLE_SHOT, *INDUCTIVE, *TRANSDUCTIVE)


def plugin_classifier(name: str) -> tuple[plugins.Plugin, Any] | None:
    """The plug-in that defines the classifier `name`, and its function; None for kshot's own and unknown names.

    A function with the attribute `transductive = True` sees all queries of an episode at once. Raises ParamsError for a
    plug-in that cannot be imported, has a name already in use, or is not a function.
    """
    plugin = plugins.find("classifiers", name, CLASSIFIERS)
    if plugin is None:
        return None
    classifier = plugins.load(plugin)
    need(callable(classifier), f"the {plugin} is no function; needs one of (support, labels, query, n_way)")
    return plugin, classifier
