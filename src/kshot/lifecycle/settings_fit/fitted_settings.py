"""The result of the rules: settings with their reasons; and the weights that training starts from."""

from typing import Any, NamedTuple

from kshot.errors import CheckpointError
from kshot.lifecycle.settings_fit.packaged_weights import BACKBONE
from kshot.lifecycle.settings_fit.protocol_rules import FittedEpisodes


class Start(NamedTuple):
    """The weights that training starts from, of network `backbone`: random ones without the next two.

    checkpoint  a file of weights
    pretrained  the weights of timm's hub
    gpu         whether training runs on one
    """

    checkpoint: str | None
    backbone: str = BACKBONE
    pretrained: bool = False
    gpu: bool = False

    @property
    def is_trained(self) -> bool:
        """Whether the weights were trained before."""
        return self.pretrained or self.checkpoint is not None


class Setting(NamedTuple):
    """A dotted key of params.yaml, its value, and the reason; '' if it follows from the setting above."""

    key: str
    value: Any
    reason: str = ""


class FittedSettings(NamedTuple):
    """The settings, lines about classes that are left out somewhere, and the values of `auto` for these classes."""

    settings: tuple[Setting, ...]
    left_out: tuple[str, ...]
    episodes: FittedEpisodes

    def values(self) -> dict[str, Any]:
        """The value of each dotted key."""
        return {one.key: one.value for one in self.settings}


class NoWeights(CheckpointError):
    """The images are photographs, and there are no pretrained weights to start from."""
