"""Where shards are cut: what an inserted or deleted class changes, at every place."""

import itertools

import pytest

from kshot.data.shards.shard_plan import SIZES, ShardSizes, shards_of

SMALL = ShardSizes(least=300, most=1200)


def names(classes: int, images: int = 5) -> list[str]:
    return [f"images/c{label:05}/{image}.png" for label in range(classes) for image in range(images)]


def plan(paths: list[str], row_bytes: int = 10, sizes: ShardSizes = SMALL) -> list[tuple[str, ...]]:
    """The paths of each shard."""
    labels = [path.rpartition("/")[0] for path in paths]
    return [tuple(paths[rows.start : rows.stop]) for rows in shards_of(paths, labels, row_bytes, sizes)]


def test_shards_are_all_rows_in_order_within_the_sizes() -> None:
    paths = names(2000)
    found = plan(paths)
    assert list(itertools.chain(*found)) == paths
    sizes = [10 * len(shard) for shard in found]
    assert all(SMALL.least <= size <= SMALL.most for size in sizes[:-1]) and 0 < sizes[-1] <= SMALL.most
    assert sum(size > SMALL.most - 50 for size in sizes) < 0.05 * len(sizes)  # few are cut because they are full


def test_a_small_data_set_is_one_shard_and_none_is_no_shard() -> None:
    assert shards_of(names(6), ["a"] * 30, 10, SMALL) == [range(30)]
    assert shards_of(names(6), ["a"] * 30, 10) == [range(30)]
    assert shards_of([], [], 10) == []


def test_a_class_that_fits_into_a_small_shard_is_never_cut() -> None:
    found = plan(names(2000))
    assert all(before[-1][:13] != after[0][:13] for before, after in itertools.pairwise(found))


@pytest.mark.parametrize("place", range(0, 2000, 97))
def test_an_inserted_or_deleted_class_changes_no_more_than_the_shards_around_it(place: int) -> None:
    before = names(2000)
    new = [f"images/c{place:05}-new/{image}.png" for image in range(5)]
    after = sorted([*before, *new])
    was, now = set(plan(before)), set(plan(after))
    rewritten = sum(len(shard) for shard in now - was)
    assert set(new) <= set(itertools.chain(*(now - was)))
    assert rewritten < 0.04 * len(after) and len(was - now) <= 4  # of 170 shards here; 2 of them in most cases
    assert rewritten <= 3 * SMALL.most // 10


def test_an_image_more_changes_one_place_of_a_class_that_is_larger_than_a_shard() -> None:
    before = sorted(names(3, images=3000))
    after = sorted([*before, "images/c00001/0-new.png"])
    was, now = set(plan(before)), set(plan(after))
    assert sum(len(shard) for shard in now - was) <= 3 * SMALL.most // 10


def test_a_class_added_to_a_million_images_of_224_pixels_rewrites_under_1_percent() -> None:
    """A tenth of the images with a tenth of the sizes, so that the test takes a second: the cuts see only the ratio."""
    tenth = ShardSizes(SIZES.least // 10, SIZES.most // 10)
    before = names(20_000)
    after = sorted([*before, *(f"images/c{7777:05}-new/{image}.png" for image in range(10))])
    was, now = set(plan(before, 224 * 224 * 3, tenth)), set(plan(after, 224 * 224 * 3, tenth))
    assert sum(len(shard) for shard in now - was) < 0.01 * len(after)
