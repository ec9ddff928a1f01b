import numpy as np
import pytest

from kshot.serve.engine.suspects import MOST, leave_one_out
from kshot.serve.messages.refusals import Refused
from tests.serve.engine.test_recognition import Classes, by_classifier, state


def mixed(classes: Classes) -> Classes:
    """Three classes of four images; the last image of the first class shows the second."""
    (one, first), (two, second), (three, third), *_ = classes.items()
    return {one: [*first[:3], second[4]], two: second[:4], three: third[:4]}


@pytest.mark.parametrize("classifier", ["prototype", "nearest_neighbour"])
def test_an_image_taught_to_the_wrong_class_is_named(classifier: str, classes: Classes) -> None:
    gallery = state(by_classifier(classifier), mixed(classes))
    found = leave_one_out(by_classifier(classifier), gallery)
    assert found.tested == 12
    wrong = {one.id: one for one in found.suspects}
    assert wrong[4].class_name == gallery.class_names[0] != wrong[4].taken_for
    assert [one.probability for one in found.suspects] == sorted(
        (one.probability for one in found.suspects), reverse=True
    )


def test_prototypes_answer_as_a_gallery_that_was_built_without_the_example(classes: Classes) -> None:
    from kshot.serve.engine import suspects

    version = by_classifier("prototype")
    gallery = state(version, mixed(classes))
    shots = np.bincount(gallery.labels)
    tested = np.arange(len(gallery.ids))
    slow = [suspects._one_by_one(version, gallery, int(place)) for place in tested]
    fast = suspects._by_prototypes(version, gallery, tested, shots)
    assert [best for best, _ in fast] == [best for best, _ in slow]
    assert [share for _, share in fast] == pytest.approx([share for _, share in slow], abs=1e-4)


def test_a_class_of_one_example_is_not_tested(classes: Classes) -> None:
    version = by_classifier("prototype")
    (one, first), (two, second), *_ = classes.items()
    assert leave_one_out(version, state(version, {one: first[:1], two: second[:2]})).tested == 2
    assert leave_one_out(version, state(version, {one: first})).tested == 0


def test_a_gallery_too_large_to_ask_one_by_one_is_refused(classes: Classes, monkeypatch: pytest.MonkeyPatch) -> None:
    version = by_classifier("nearest_neighbour")
    monkeypatch.setattr("kshot.serve.engine.suspects.MOST", MOST // MOST)
    with pytest.raises(Refused, match="12 times; needs a gallery of at most 1"):
        leave_one_out(version, state(version, mixed(classes)))
