"""The names of kshot's classifiers, and those of plug-ins: settings are checked without torch."""

from typing import Any

from kshot import plugins
from kshot.classifiers import INDUCTIVE, OWN, SIMPLE_SHOT, TRANSDUCTIVE
from kshot.params.reader import need

CLASSIFIERS = (OWN, SIMPLE_SHOT, *INDUCTIVE, *TRANSDUCTIVE)


def plugin_classifier(name: str) -> tuple[plugins.Plugin, Any] | None:
    """The plug-in that gives the classifier `name`, and its function; None for kshot's own and unknown names.

    A function with the attribute `transductive = True` sees all queries of an episode at once. Raises ParamsError for
    one that cannot be imported, bears the name of another, or is no function.
    """
    plugin = plugins.find("classifiers", name, CLASSIFIERS)
    if plugin is None:
        return None
    head = plugins.load(plugin)
    need(callable(head), f"the {plugin} is no function; needs one of (support, labels, query, n_way)")
    return plugin, head
