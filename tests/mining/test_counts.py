import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kshot.mining.counts import count_triplets
from kshot.mining.relations import relations


def listed(distances, labels, margin, semi_hard):
    multiplicity, active, valid = torch.zeros(distances.shape, dtype=distances.dtype), 0, 0
    for a, p, n in itertools.product(range(len(labels)), repeat=3):
        if a == p or labels[a] != labels[p] or labels[a] == labels[n]:
            continue
        valid += 1
        if distances[a, n] < distances[a, p] + margin and not (semi_hard and distances[a, n] <= distances[a, p]):
            active += 1
            multiplicity[a, p] += 1
            multiplicity[a, n] -= 1
    return multiplicity, active, valid


@pytest.mark.parametrize("semi_hard", [False, True])
@settings(max_examples=100, deadline=None)
@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=9),
    seed=st.integers(0, 2**16),
    margin=st.sampled_from([0.0, 1e-12, 0.5, 1.0, 3.0]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_counts_are_those_of_the_listed_triplets(semi_hard, labels, seed, margin, dtype):
    # Whole numbers make ties, and any matrix will do: nothing here knows that it holds distances.
    labels = torch.tensor(labels)
    generator = torch.Generator().manual_seed(seed)
    distances = torch.randint(0, 5, (len(labels), len(labels)), generator=generator).to(dtype)
    found = count_triplets(distances, *relations(labels), margin, semi_hard)
    multiplicity, active, valid = listed(distances, labels, margin, semi_hard)
    assert torch.equal(found.multiplicity, multiplicity)
    assert (found.active.item(), found.valid.item()) == (active, valid)
