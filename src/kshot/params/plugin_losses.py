"""Losses of plug-ins: their arguments are the keyword-only parameters of the signature, with numeric defaults.

A function is called as `loss(points, labels, *, scale=16.0)`. A class derived from nn.Module has its own parameters,
such as proxies: it is created as `Loss(n_classes, dim, *, scale=16.0)` and called as `loss(points, labels)`.
"""

import inspect
import math
from collections.abc import Mapping
from typing import Any

from kshot import plugins
from kshot.params.reader import need


def plugin_arguments(plugin: plugins.Plugin, loss: Any) -> dict[str, float]:
    """The default of each argument by name. Raises ParamsError for an object that is not a loss."""
    wanted = "(n_classes, dim, *, ...)" if inspect.isclass(loss) else "(points, labels, *, ...)"
    how = f"the {plugin} cannot be called; needs {wanted}, every argument after the * with a number as its default"
    need(callable(loss), how)
    parameters = inspect.signature(loss).parameters.values()
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    need(len([one for one in parameters if one.kind in places]) == 2, how)
    found = {one.name: one.default for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY}
    need(all(_is_number(default) for default in found.values()), how)
    need(len(found) + 2 == len(parameters), how)
    return found


def chosen_arguments(plugin: plugins.Plugin, loss: Any, given: Mapping[str, float]) -> dict[str, float]:
    """Every argument of the loss: the given ones, integers if the default is one, and the defaults of the others.

    Raises ParamsError for an argument that the loss does not take, and for a number that must be an integer but is not.
    """
    defaults = plugin_arguments(plugin, loss)
    for name, value in given.items():
        known = ", ".join(defaults) or "none"
        need(name in defaults, f"train.loss.arguments: {name} is no argument of {plugin.name}; known are {known}")
        need(
            not isinstance(defaults[name], int) or value == int(value),
            f"train.loss.arguments: {name} of {plugin.name} is {value}; needs a whole number, such as {defaults[name]}",
        )
    return {name: type(default)(given.get(name, default)) for name, default in defaults.items()}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
