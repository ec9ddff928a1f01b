"""Mining: selects the pairs, triplets and classes to train on."""

from kshot.mining.counts import count_triplets
from kshot.mining.offline import hardest_negatives, nearest_classes
from kshot.mining.pairs import all_pairs, hard_pairs, random_pairs, semi_hard_pairs
from kshot.mining.triplets import (
    Triplets,
    batch_hard,
    distance_weighted,
    easy_positive,
    random_triplets,
    semi_hard_nearest,
)

__all__ = [
    "Triplets",
    "all_pairs",
    "batch_hard",
    "count_triplets",
    "distance_weighted",
    "easy_positive",
    "hard_pairs",
    "hardest_negatives",
    "nearest_classes",
    "random_pairs",
    "random_triplets",
    "semi_hard_nearest",
    "semi_hard_pairs",
]
