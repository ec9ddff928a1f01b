"""What the rules give: settings with their reasons; and what training begins from."""

from typing import Any, NamedTuple

from kshot.errors import CheckpointError
from kshot.lifecycle.settings_fit.packaged_weights import BACKBONE


class Start(NamedTuple):
    """What training begins from: the file of weights `checkpoint` of the network `backbone`; no file: from nothing."""

    checkpoint: str | None
    backbone: str = BACKBONE


class Setting(NamedTuple):
    """A dotted key of params.yaml, its value, and why; reason '' where it follows from the setting above."""

    key: str
    value: Any
    reason: str = ""


class FittedSettings(NamedTuple):
    """The settings, and lines about the classes that are left out somewhere."""

    settings: tuple[Setting, ...]
    left_out: tuple[str, ...]

    def values(self) -> dict[str, Any]:
        """Dotted key to value."""
        return {one.key: one.value for one in self.settings}


class NoWeights(CheckpointError):
    """The images are photographs, and there are no weights to begin from."""
