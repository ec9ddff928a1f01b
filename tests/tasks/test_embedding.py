"""Tasks as points: equal tasks coincide; order, shots and number of classes do not matter, the kind of task does."""

import pytest
import torch

from kshot.tasks.embedding import Task, distances, embed_task, on_plane, squared_distances, widest_plane
from kshot.tasks.space import learn_space

D = 6
KINDS = 3 * torch.randn(4, D, generator=torch.Generator().manual_seed(7))  # centres of four alphabets


def classes(kind, ways, generator):
    return KINDS[kind] + torch.randn(ways, D, generator=generator)


def shown(means, shots, generator):
    points = means[:, None] + 0.7 * torch.randn(len(means), shots, D, generator=generator)
    return Task(points.flatten(0, 1), torch.arange(len(means)).repeat_interleave(shots))


@pytest.fixture(scope="module")
def space():
    generator = torch.Generator().manual_seed(0)
    points = [
        shown(classes(kind, 100, generator), 10, generator).points.reshape(100, 10, D) for kind in range(len(KINDS))
    ]
    known = [one for part in points for one in part]
    return learn_space(known, known, generator)


def test_equal_tasks_are_at_distance_zero(space):
    generator = torch.Generator().manual_seed(1)
    for shots in (1, 5):
        task = embed_task(shown(classes(0, 8, generator), shots, generator), space)
        assert distances([task], [task]).item() == 0.0


def test_the_order_of_images_and_the_names_of_classes_do_not_matter(space):
    generator = torch.Generator().manual_seed(2)
    task = shown(classes(1, 6, generator), 3, generator)
    order, names = torch.randperm(18, generator=generator), torch.randperm(6, generator=generator)
    one, other = embed_task(task, space), embed_task(Task(task.points[order], names[task.labels][order]), space)
    torch.testing.assert_close(one.vector, other.vector, rtol=0, atol=1e-12)
    assert one.itself == pytest.approx(other.itself, abs=1e-12)


def test_the_distance_is_symmetric(space):
    generator = torch.Generator().manual_seed(3)
    tasks = [embed_task(shown(classes(kind, 5, generator), 2, generator), space) for kind in (0, 1, 2)]
    found = distances(tasks, tasks)
    torch.testing.assert_close(found, found.T)
    assert (found.diagonal() == 0).all() and (found >= 0).all()


@pytest.mark.parametrize(("shots", "others"), [(1, 1), (1, 20), (5, 20)])
@pytest.mark.parametrize(("ways", "other_ways"), [(5, 5), (3, 30)])
def test_neither_shots_nor_ways_move_the_squared_distance_on_average(space, shots, others, ways, other_ways):
    """Tasks of one kind have 0 on average, tasks of two what the kinds have, of many classes and images."""
    generator = torch.Generator().manual_seed(4)
    kinds = [embed_task(shown(classes(kind, 1500, generator), 30, generator), space) for kind in (0, 1)]
    truth = squared_distances(kinds[:1], kinds[1:]).item()
    for other, expected in ((0, 0.0), (1, truth)):
        a = [embed_task(shown(classes(0, ways, generator), shots, generator), space) for _ in range(150)]
        b = [embed_task(shown(classes(other, other_ways, generator), others, generator), space) for _ in range(150)]
        found = squared_distances(a, b)
        # The rows share their tasks, and so do the columns: their means are what varies.
        noise = (found.mean(1).std() + found.mean(0).std()).item() / 150**0.5
        assert found.mean().item() == pytest.approx(expected, abs=4 * noise)
        assert noise < 0.03


@pytest.mark.parametrize("shots", [1, 5])
def test_tasks_of_one_alphabet_are_nearer_than_tasks_of_two(space, shots):
    generator = torch.Generator().manual_seed(5)
    kinds = torch.arange(len(KINDS)).repeat_interleave(10)
    tasks = [embed_task(shown(classes(kind, 5, generator), shots, generator), space) for kind in kinds.tolist()]
    found = squared_distances(tasks, tasks)
    same = kinds[:, None] == kinds[None, :]
    itself = torch.eye(len(tasks), dtype=torch.bool)
    assert (found[same & ~itself].quantile(0.9) < found[~same].quantile(0.1)).item()


def test_the_estimate_equals_its_definition_by_loops(space):
    generator = torch.Generator().manual_seed(6)
    tasks = [shown(classes(0, 3, generator), 2, generator), shown(classes(1, 4, generator), 1, generator)]
    within = space.root @ space.root.T

    def kernel(a, b, shots_a, shots_b):
        total = 0.0
        for w in space.frequencies:
            blur = torch.exp(w @ within @ w * (1 / shots_a + 1 / shots_b) / 2)
            total += float(torch.cos(w @ (a - b)) * blur)
        return total / len(space.frequencies)

    (a, b), (k, m) = ([task.means for task in tasks], (2, 1))
    own_a = sum(kernel(x, y, k, k) for i, x in enumerate(a) for j, y in enumerate(a) if i != j) / 6
    own_b = sum(kernel(x, y, m, m) for i, x in enumerate(b) for j, y in enumerate(b) if i != j) / 12
    cross = sum(kernel(x, y, k, m) for x in a for y in b) / 12
    found = squared_distances([embed_task(tasks[0], space)], [embed_task(tasks[1], space)]).item()
    assert found == pytest.approx(own_a + own_b - 2 * cross, rel=1e-9)


def test_distances_of_the_vectors_obey_the_triangle_inequality(space):
    generator = torch.Generator().manual_seed(8)
    tasks = [embed_task(shown(classes(i % 4, 3, generator), 1, generator), space) for i in range(12)]
    vectors = torch.stack([task.vector for task in tasks])
    apart = torch.cdist(vectors, vectors)
    assert (apart[:, None, :] <= apart[:, :, None] + apart[None, :, :] + 1e-9).all()


def test_one_class_is_no_task(space):
    with pytest.raises(ValueError, match="needs at least 2"):
        embed_task(Task(torch.randn(3, D), torch.zeros(3).long()), space)


def test_a_new_task_moves_no_other_on_the_map(space):
    generator = torch.Generator().manual_seed(9)
    known = [embed_task(shown(classes(kind, 20, generator), 5, generator), space) for kind in range(4)]
    new = embed_task(shown(classes(2, 20, generator), 5, generator), space)
    plane = widest_plane(known)
    before, after = on_plane(known, plane), on_plane([new, *known], plane)
    torch.testing.assert_close(after[1:], before)
    assert torch.cdist(after[:1], before).argmin().item() == 2


def test_two_tasks_still_make_a_map(space):
    generator = torch.Generator().manual_seed(10)
    known = [embed_task(shown(classes(kind, 4, generator), 2, generator), space) for kind in (0, 1)]
    assert on_plane(known, widest_plane(known)).shape == (2, 2)
