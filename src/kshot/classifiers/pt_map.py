"""PT-MAP: power transform, then optimal transport from queries to classes. Transductive; assumes balanced classes."""

import torch
from torch import Tensor

from kshot.distances import unit_length
from kshot.errors import NotConverged
from kshot.prototypes import prototypes

# Number and rate of the updates of the means, and lambda of the transport, as in the paper. The number of updates is
# part of the method.
STEPS, RATE, SHARPNESS = 20, 0.2, 10.0
POWER, EPSILON = 0.5, 1e-6
TOLERANCE, RIDGE = 1e-6, 1e-9  # ridge: a plan whose shares are all 0 or 1 has no curvature
NEWTON_STEPS = 100  # seven were enough for costs from 0 to 4, fifty with a sharpness of 1,000


def pt_map_scores(support: Tensor, labels: Tensor, query: Tensor, n_way: int) -> Tensor:
    """Log of the transport plan after moving class means to the queries assigned to them (Hu et al. 2021).

    arXiv:2006.03806. Each episode must have the same number of queries of every class: the plan gives every class an
    equal share, which an inductive classifier does not know. Embeddings must not be negative (after a ReLU). Shapes as
    in `kshot.classifiers`. Raises ValueError for negative embeddings and for queries that cannot be shared equally.
    """
    if support.min() < 0 or query.min() < 0:
        raise ValueError("pt_map was given negative embeddings; needs a backbone that ends in a ReLU")
    if query.shape[1] % n_way:
        raise ValueError(f"pt_map was given {query.shape[1]} queries of {n_way} classes; needs as many of each class")
    support, query = (power_transform(part) for part in (support, query))
    shots = torch.nn.functional.one_hot(labels, n_way).to(support.dtype).sum(0)[:, None]
    known = prototypes(support, labels, n_way) * shots
    means = known / shots
    potentials = means.new_zeros(len(means), n_way, dtype=torch.float64)
    for _ in range(STEPS):
        plan, potentials = transport(_cost(query, means), SHARPNESS, potentials)
        wanted = (known + plan.transpose(1, 2) @ query) / (shots + plan.sum(1)[..., None])
        means = means + RATE * (wanted - means)
    plan, _ = transport(_cost(query, means), SHARPNESS, potentials)
    return plan.clamp_min(1e-12).log()


def transport(cost: Tensor, sharpness: float, potentials: Tensor) -> tuple[Tensor, Tensor]:
    """The entropic transport plans of a batch: rows sum to 1, columns to Q / n_way (Cuturi 2013, arXiv:1306.0895).

    cost (E, Q, n_way), up to a constant in each row; potentials (E, n_way) float64, the initial potentials of the
    classes, zeros if unknown. Returns the plans (E, Q, n_way), columns within TOLERANCE, and their potentials. Raises
    NotConverged if NEWTON_STEPS do not reach that.

    Takes Newton steps on the n_way potentials (the semi-dual, Cuturi and Peyre 2018, arXiv:1811.05527) in float64,
    shortened so that each lowers the dual's value (Sun and Tran-Dinh 2019, arXiv:1703.04599). A few are enough, where
    Sinkhorn's iteration takes a thousand and more.
    """
    n_way = cost.shape[2]
    share = cost.shape[1] / n_way
    scores = -sharpness * cost.double()
    # Adding a constant to all potentials changes nothing: the matrix of ones pins that direction.
    pinned = torch.ones_like(scores[:1, :1]).expand(1, n_way, n_way) + RIDGE * torch.eye(n_way).to(scores)
    for _ in range(NEWTON_STEPS):
        plan = (scores + potentials[:, None]).softmax(-1)
        sums = plan.sum(1)
        if float((sums - share).abs().max()) < TOLERANCE:
            break
        curvature = sums.diag_embed() - plan.transpose(1, 2) @ plan + pinned
        move = torch.linalg.solve(curvature, share - sums)
        length = (move.amax(1, keepdim=True) - move.amin(1, keepdim=True)).clamp_min(torch.finfo(move.dtype).tiny)
        potentials = potentials + move * length.log1p() / length
    else:
        off = float((sums - share).abs().max())
        raise NotConverged(
            f"the transport plan of pt_map is off by {off:.1g} queries a class after {NEWTON_STEPS} steps; "
            f"needs {TOLERANCE:.0e}: take another classifier in evaluate.classifier"
        )
    return plan.to(cost.dtype), potentials


def _cost(query: Tensor, means: Tensor) -> Tensor:
    """Squared distances of unit-length queries to means, without the |q|² that all classes share: (E, Q, n_way).

    Neither is longer than 1, so the product rounds by about 1e-7, which SHARPNESS makes a millionth of a share.
    """
    return means.square().sum(-1)[:, None] - 2 * query @ means.transpose(1, 2)


def power_transform(points: Tensor) -> Tensor:
    """Power transform of non-negative points (E, N, D), section 3.2 of the paper.

    Takes the square root, scales to unit length, subtracts the set's mean and scales to unit length again.
    """
    powered = unit_length((points + EPSILON).pow(POWER))
    return unit_length(powered - powered.mean(1, keepdim=True))
