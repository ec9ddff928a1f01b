import pytest

from kshot.parallel.share import ALONE, Share, World


@pytest.mark.parametrize(("total", "size"), [(6, 3), (7, 3), (8, 3), (25, 2), (2, 2), (5, 1)])
def test_every_row_belongs_to_one_process_in_order_and_no_two_differ_by_more_than_one(total, size):
    shares = [Share(World(rank, size), total) for rank in range(size)]
    assert [row for share in shares for row in range(total)[share.rows]] == list(range(total))
    counts = [len(range(total)[share.rows]) for share in shares]
    assert counts == shares[0].counts
    assert max(counts) - min(counts) <= 1 and min(counts) >= 1


def test_one_process_is_the_first_and_has_every_row():
    assert ALONE.is_first and not World(1, 2).is_first
    assert range(5)[Share(ALONE, 5).rows] == range(5)
