import numpy as np
import pytest
import torch

from kshot.evaluation.near_images import Duplicate, WrongLabel, near_duplicates, nearest_images, wrong_labels


def test_neighbours_agree_with_a_loop_in_blocks_of_any_size():
    points = torch.from_numpy(np.random.default_rng(0).normal(100, 1, (23, 4)).astype(np.float32))
    found = nearest_images(points, 3, block=7)
    for row, point in enumerate(points):
        distances = (points - point).double().square().sum(1).sqrt()
        distances[row] = torch.inf
        wanted = distances.sort()
        assert found.ids[row].tolist() == wanted.indices[:3].tolist()
        assert found.distances[row].tolist() == pytest.approx(wanted.values[:3].tolist(), abs=1e-4)


def test_few_images_have_few_neighbours():
    assert nearest_images(torch.tensor([[0.0], [1.0]])).ids.tolist() == [[1], [0]]


def test_pairs_much_nearer_than_usual_are_near_duplicates():
    # Nearest distances: 10, 10, 10, 4, 4; the median is 10, the limit 5.5.
    points = torch.tensor([[0.0], [10.0], [20.0], [40.0], [44.0]])
    assert near_duplicates(nearest_images(points)) == [Duplicate(3, 4, 4.0)]
    assert near_duplicates(nearest_images(torch.tensor([[0.0], [10.0], [20.0], [40.0], [46.0]]))) == []


def test_copies_are_near_duplicates_however_many_there_are():
    points = torch.tensor([[3.0, 1.0]] * 3 + [[9.0, 1.0]])
    assert [one[:2] for one in near_duplicates(nearest_images(points))] == [(0, 1), (0, 2), (1, 2)]


def test_an_image_among_another_class_is_listed_with_its_neighbour_and_ratio():
    # Class 0 around 0, class 1 around 10; image 9 lies at 11 and bears label 0.
    places = [0.0, 1.0, -1.0, 0.5, 10.0, 10.6, 12.0, 9.5, 10.4, 11.0]
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 0])
    points = torch.tensor(places)[:, None]
    # Mean of class 1: 10.5, at 0.5; mean of the others of class 0: 0.125, at 10.875.
    [found] = wrong_labels(points, labels, nearest_images(points))
    assert found == WrongLabel(image=9, suspected=1, neighbour=5, ratio=pytest.approx(0.5 / 10.875))


def test_right_labels_and_single_images_are_not_listed():
    points = torch.tensor([[0.0], [1.0], [2.0], [3.0], [4.0], [2.5], [50.0], [51.0]])
    labels = np.array([0, 0, 0, 0, 0, 1, 2, 2])
    assert wrong_labels(points, labels, nearest_images(points)) == []
