"""Triplet loss, with triplets mined from a batch or passed in by the caller."""

import torch
from torch import Tensor
from torch.nn.functional import softplus

from kshot.distances import DISTANCES, order_of_rows, row_by_row
from kshot.losses.arguments import check_batch, check_distance, check_margin
from kshot.losses.terms import Terms, empty_terms
from kshot.mining.counts import count_triplets
from kshot.mining.relations import Relations, relations
from kshot.mining.triplets import EXTREMES, TRIPLET_MININGS, Triplets, distance_weighted

COUNTED = ("batch_all", "batch_all_nonzero", "semi_hard")
MININGS = (*COUNTED, *TRIPLET_MININGS)


def triplet_loss(
    embeddings: Tensor,
    labels: Tensor,
    margin: float | None,
    mining: str,
    distance: str = "squared_euclidean",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Mean of `max(0, d(a,p) - d(a,n) + margin)` over mined triplets (Schroff et al. 2015, eq. 1, arXiv:1503.03832).

    embeddings (B, D) floating; labels (B,) integer. A triplet is an anchor a, a positive p != a of its class and a
    negative n of another class. `mining` says over which triplets the mean is taken:

    batch_all          every valid triplet, including those whose loss is zero
    batch_all_nonzero  every valid triplet that violates the margin (Hermans et al. 2017, section 2, arXiv:1703.07737)
    semi_hard          every triplet with d(a,p) < d(a,n) < d(a,p) + margin (Schroff et al. 2015, section 3.2)
    batch_hard, easy_positive, semi_hard_nearest, random_triplets, distance_weighted: see `kshot.mining.triplets`

    margin=None is the soft margin `log(1 + exp(d(a,p) - d(a,n)))` (Hermans et al. 2017), for minings that list their
    triplets. distance_weighted needs Euclidean distance and rows of unit length. Returns a scalar, 0 if nothing is
    mined. Raises ValueError for an unknown mining or distance, a negative margin, or shapes that do not match.

    >>> points, labels = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([0, 0, 1])
    >>> triplet_loss(points, labels, 2.0, "batch_all", "euclidean")  # (max(0, 1 - 3 + 2) + max(0, 1 - 2 + 2)) / 2
    tensor(0.5000)
    """
    return triplet_terms(embeddings, labels, margin, mining, distance, generator).loss


def triplet_terms(
    embeddings: Tensor,
    labels: Tensor,
    margin: float | None,
    mining: str,
    distance: str = "squared_euclidean",
    generator: torch.Generator | None = None,
) -> Terms:
    """The loss and the share of triplets that violate the margin: of the mined ones or, where counted, of all.

    Arguments as `triplet_loss`.
    """
    if mining not in MININGS:
        raise ValueError(f"mining is {mining!r}; needs one of {', '.join(MININGS)}")
    check_batch(embeddings, labels)
    check_distance(distance)
    if mining in COUNTED and margin is None:
        raise ValueError(f"margin is None with mining {mining!r}; only a hinge can be counted: give a number")
    if margin is not None:
        check_margin(margin)
    if mining == "distance_weighted" and distance != "euclidean":
        raise ValueError(f"distance is {distance!r}; distance_weighted needs 'euclidean'")
    if not len(embeddings):
        return empty_terms(embeddings)
    related = relations(labels)
    if mining in COUNTED:
        assert margin is not None
        return _counted(embeddings, related, margin, mining, distance)
    with torch.no_grad():
        if mining in EXTREMES and distance != "cosine":
            distances = order_of_rows(embeddings)
        else:
            distances = DISTANCES[distance](embeddings, embeddings)
        if mining == "distance_weighted":
            triplets = distance_weighted(distances, *related, generator, dim=embeddings.shape[1])
        else:
            triplets = TRIPLET_MININGS[mining](distances, *related, generator)
    return given_triplets_terms(embeddings, triplets, margin, distance)


def given_triplets_loss(
    embeddings: Tensor, triplets: Triplets, margin: float | None, distance: str = "squared_euclidean"
) -> Tensor:
    """Mean of the hinge, or with margin=None of the soft margin, over the given `triplets`.

    embeddings (B, D) floating; triplets: positions in it, each (T,) int64. Returns a scalar, 0 for no triplet. Raises
    ValueError for positions that do not match, a negative margin and an unknown distance.

    >>> points = torch.tensor([[0.0], [1.0], [3.0]])
    >>> first = Triplets(torch.tensor([1]), torch.tensor([0]), torch.tensor([2]))
    >>> given_triplets_loss(points, first, 2.0, "euclidean")  # 1 - 2 + 2
    tensor(1.)
    """
    return given_triplets_terms(embeddings, triplets, margin, distance).loss


def given_triplets_terms(
    embeddings: Tensor, triplets: Triplets, margin: float | None, distance: str = "squared_euclidean"
) -> Terms:
    """The loss and the share of the triplets that violate the margin; arguments as `given_triplets_loss`."""
    check_distance(distance)
    if len({part.shape for part in triplets}) > 1 or triplets.anchor.ndim != 1:
        shapes = ", ".join(str(tuple(part.shape)) for part in triplets)
        raise ValueError(f"triplets are {shapes}; need anchors, positives and negatives of one shape (T,)")
    anchor, positive, negative = (embeddings.index_select(0, part) for part in triplets)
    gap = row_by_row(anchor, positive, distance) - row_by_row(anchor, negative, distance)
    if margin is None:
        terms, violating = softplus(gap), gap > 0
    else:
        check_margin(margin)
        terms = (gap + margin).clamp_min(0)
        violating = terms > 0
    number = max(1, len(gap))
    return Terms(terms.sum() / number, violating.sum() / number)


def _counted(embeddings: Tensor, related: Relations, margin: float, mining: str, distance: str) -> Terms:
    distances = DISTANCES[distance](embeddings, embeddings)
    counts = count_triplets(distances.detach(), *related, margin, semi_hard=mining == "semi_hard")
    # Thousands of distances cancel in this sum: float64 where the device has it.
    wide = torch.float32 if embeddings.device.type == "mps" else torch.float64
    total = (counts.multiplicity * distances).sum(dtype=wide) + margin * counts.active
    mean_over = counts.valid if mining == "batch_all" else counts.active
    return Terms((total / mean_over.clamp_min(1)).to(distances.dtype), counts.active / counts.valid.clamp_min(1))
