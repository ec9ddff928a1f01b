import numpy as np
import pytest

from kshot.data.shards import joined_rows
from kshot.data.shards.joined_rows import JoinedRows

COUNTS = (3, 1, 40_000, 7)


@pytest.fixture(params=["mapped", "in memory", "far apart"])
def parts(request, tmp_path, monkeypatch):
    """Rows of 2 x 3 x 1 bytes; memory of mixed origin, so that the order of the addresses is not that of the parts."""
    rng = np.random.default_rng(0)
    made = [rng.integers(0, 256, (count, 2, 3, 1), dtype=np.uint8) for count in COUNTS]
    if request.param == "far apart":
        monkeypatch.setattr(joined_rows, "LARGEST", 1)
    if request.param != "mapped":
        return made[::-1]
    for number, part in enumerate(made):
        np.save(tmp_path / f"{number}.npy", part)
    return [np.load(tmp_path / f"{number}.npy", mmap_mode="r") for number in (2, 0, 3, 1)]


def test_every_row_is_that_of_the_arrays_in_a_row(parts):
    whole, joined = np.concatenate(parts), JoinedRows(parts)
    assert (joined.memory is None) == (joined_rows.LARGEST == 1)
    for rows in (np.arange(len(whole)), np.random.default_rng(1).integers(0, len(whole), 500), np.array([], dtype=int)):
        found = joined[rows]
        np.testing.assert_array_equal(found, whole[rows])


def test_rows_are_copies(parts):
    joined = JoinedRows(parts)
    before = joined[np.array([0])]
    joined[np.array([0])][:] = 255 - before
    np.testing.assert_array_equal(joined[np.array([0])], before)
