"""Losses of plug-ins, by the names that `kshot.plugins` finds."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from kshot import plugins
from kshot.errors import ParamsError
from kshot.losses.terms import Terms
from kshot.params.plugin_losses import chosen_arguments


class PluginLoss(nn.Module):
    """A loss of a plug-in as a module; it has no parameters if the plug-in is a function.

    Parameters for `n_classes` classes and `dim` dimensions are drawn from `seed`; the caller's random state is
    unchanged. Raises ParamsError for arguments that the loss does not take, and for an object that is not a loss.
    """

    def __init__(
        self, plugin: plugins.Plugin, arguments: Mapping[str, float], *, n_classes: int, dim: int, seed: int
    ) -> None:
        super().__init__()
        self.plugin = plugin
        code: Any = plugins.load(plugin)
        is_class, chosen = inspect.isclass(code), chosen_arguments(plugin, code, arguments)
        self.loss: Callable[[Tensor, Tensor], Any]
        if not is_class:
            self.loss = functools.partial(code, **chosen)
            return
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed: it also seeds every accelerator, which fork_rng(devices=[]) does not restore.
            torch.default_generator.manual_seed(seed)
            try:
                self.loss = code(n_classes, dim, **chosen)
            except ValueError as error:
                raise ParamsError(f"params.yaml: train.loss.arguments: {plugin.name}: {error}") from error
        if not isinstance(self.loss, nn.Module):
            raise ParamsError(f"the {plugin} is no torch.nn.Module; make it one, or a function")

    def forward(self, points: Tensor, labels: Tensor) -> Terms:
        """points (B, D) floating; labels (B,) int64. Raises ParamsError if the loss does not return a scalar."""
        found = self.loss(points, labels)
        terms = found if isinstance(found, Terms) else Terms(found, None)
        if not isinstance(terms.loss, Tensor) or terms.loss.ndim:
            what = f"a tensor of shape {tuple(terms.loss.shape)}" if isinstance(terms.loss, Tensor) else repr(found)
            raise ParamsError(f"the {self.plugin} returned {what}; needs a scalar tensor")
        return terms
