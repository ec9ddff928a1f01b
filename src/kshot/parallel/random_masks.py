"""Dropout and stochastic depth as in one process: every process draws the masks of the whole batch and takes its rows.

It works because all processes have the same random state: they start from one seed and draw the same numbers.
"""

from torch import Tensor, nn

from kshot.parallel.share import Share

# Layers that multiply their input by a random mask whose first dimension is the batch's. timm's is matched by name, so
# that a training without a timm model does not import timm.
DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
OF_TIMM = "DropPath"


class GlobalMask(nn.Module):
    """Takes the place of `layer`, which multiplies by a random mask in training and does nothing in evaluation."""

    def __init__(self, layer: nn.Module, share: Share) -> None:
        super().__init__()
        self.layer, self.share = layer, share
        self.training = layer.training

    def forward(self, values: Tensor) -> Tensor:
        """Mask (rows * k, ...): k windows or tokens an image; the shape stays the same."""
        if not self.training:
            return values
        rows = self.share.rows
        each = len(values) // (rows.stop - rows.start)
        mask: Tensor = self.layer(values.new_ones(self.share.total * each, *values.shape[1:]))
        return values * mask[rows.start * each : rows.stop * each]


def is_random_mask(layer: nn.Module) -> bool:
    """Whether `layer` is dropout or stochastic depth."""
    return isinstance(layer, DROPOUTS) or type(layer).__name__ == OF_TIMM
