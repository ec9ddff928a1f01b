"""The names of kshot's own networks, which a plug-in must not use; `kshot.nets.backbones.conv` creates them."""

from typing import Any

from kshot import plugins
from kshot.params.reader import need

NETWORKS = ("conv4", "conv4_wide", "conv4_maps", "conv4_strided", "resnet12", "resnet12_narrow")
LEAST_SIDE = 16  # pixels of an image that conv4 can halve four times; resnet12 takes smaller ones


def backbone_plugin(name: str) -> tuple[plugins.Plugin, Any] | None:
    """The plug-in that defines the backbone `name`, and its function; None for kshot's own, timm's and unknown names.

    Raises ParamsError for a plug-in that cannot be imported, has a name already in use, or is not a function.
    """
    plugin = plugins.find("backbones", name, NETWORKS)
    if plugin is None:
        return None
    make = plugins.load(plugin)
    need(callable(make), f"the {plugin} is no function; needs one of (channels, size) that returns a network")
    return plugin, make
