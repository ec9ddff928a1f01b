"""Embeds many images in several processes, with the same bits as one: whole blocks are shared out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kshot.data.batches import Pixels
from kshot.methods.method import Method
from kshot.nets.embedding import embed, images_at_once
from kshot.nets.points import Points
from kshot.parallel.collectives import gather_rows
from kshot.parallel.share import World


def embed_shared(method: Method, images: Pixels, ids: NDArray[np.integer[Any]], world: World) -> Tensor:
    """As `kshot.nets.embedding.embed`, (M, dim) on the CPU in every process; each embeds every `size`-th block."""
    if world.size == 1:
        return embed(method, images, ids)
    block = images_at_once(method, images)
    places = [
        np.concatenate([np.arange(0), *(np.arange(len(ids))[start : start + block] for start in starts)])
        for starts in (range(rank * block, len(ids), world.size * block) for rank in range(world.size))
    ]
    own = embed(method, images, ids[places[world.rank]])
    every = gather_rows(own.to(method.centre), [len(part) for part in places]).cpu()
    found = torch.empty_like(every)
    found[torch.from_numpy(np.concatenate(places))] = every
    return found


def points_of(method: Method, images: Pixels, ids: Sequence[NDArray[np.integer[Any]]], world: World) -> Points:
    """As `kshot.evaluation.evaluate.embed_once`, in every process."""
    wanted = np.unique(np.concatenate([part.ravel() for part in ids]))
    return Points(wanted, embed_shared(method, images, wanted, world))
