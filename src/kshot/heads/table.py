"""The heads by name, and whether they look at all queries of an episode at once."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from kshot.heads.attention import attention_head
from kshot.heads.laplacian_shot import laplacian_shot_head
from kshot.heads.logistic_regression import logistic_regression_head
from kshot.heads.nearest_neighbour import nearest_neighbour_head
from kshot.heads.prototype import prototype_head
from kshot.heads.pt_map import pt_map_head


class Head(NamedTuple):
    """scores: support (E, S, D), labels (S,), query (E, Q, D), n_way to (E, Q, n_way), as `kshot.heads` says."""

    scores: Callable[[Tensor, Tensor, Tensor, int], Tensor]
    transductive: bool = False


HEADS = {
    "prototype": Head(prototype_head),
    "nearest_neighbour": Head(nearest_neighbour_head),
    "attention": Head(attention_head),
    "logistic_regression": Head(logistic_regression_head),
    "laplacian_shot": Head(laplacian_shot_head, transductive=True),
    "pt_map": Head(pt_map_head, transductive=True),
}
