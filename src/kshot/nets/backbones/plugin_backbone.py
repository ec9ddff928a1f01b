"""Backbones of plug-ins, checked with one image before training starts."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from kshot import plugins
from kshot.errors import ParamsError


def create_plugin_backbone(
    plugin: plugins.Plugin, make: Callable[[int, int], object], channels: int, size: int
) -> nn.Module:
    """Call `make(channels, size)`: a network (N, channels, size, size) floating to (N, num_features), its attribute.

    Raises ParamsError if it returns anything else, and for the name of one of timm's models.
    """
    import timm  # imported here, because it takes seconds

    if timm.is_model(plugin.name):
        raise ParamsError(f"the {plugin} has the name of one of timm's models; rename or uninstall it")
    network = make(channels, size)
    width = getattr(network, "num_features", None)
    if not isinstance(network, nn.Module) or not isinstance(width, int):
        raise ParamsError(f"the {plugin} returned {type(network).__name__} with num_features {width!r}; {NEEDS}")
    try:
        with torch.no_grad():
            found = network.eval()(torch.zeros(2, channels, size, size))
    except (AssertionError, RuntimeError, ValueError) as error:
        what = " ".join(str(error).split())[:200]
        raise ParamsError(f"the {plugin} cannot take images of {size} x {size} pixels: {what}") from error
    finally:
        network.train()
    if not isinstance(found, Tensor) or tuple(found.shape) != (2, width):
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ParamsError(f"the {plugin} makes {shape} of 2 images, its num_features are {width}; {NEEDS}")
    return network


NEEDS = "needs a torch.nn.Module whose num_features, a whole number, is the width of what it makes of an image"
