"""Makes a network treat its rows as part of a batch that is shared among processes."""

from torch import nn

from kshot.parallel.batch_norm import GlobalNorm
from kshot.parallel.random_masks import GlobalMask, is_random_mask
from kshot.parallel.share import Share


def as_one_batch(network: nn.Module, share: Share) -> nn.Module:
    """Replace the layers of `network` that mix rows or draw numbers for them; with one process, none.

    Batch norms become global, and dropout and stochastic depth draw for the whole batch. Names and content of the state
    do not change. Returns `network`.
    """
    if share.world.size == 1:
        return network
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.modules.batchnorm._BatchNorm):
                setattr(parent, name, GlobalNorm(child, share))
            elif is_random_mask(child):
                setattr(parent, name, GlobalMask(child, share))
    return network
