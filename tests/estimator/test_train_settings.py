"""The settings of a training: shipped defaults, changes by name, completed for the loss and fitted to small data."""

from pathlib import Path
from typing import Any

import pytest

from kshot.errors import ParamsError
from kshot.estimator.train_settings import LOSS_NEEDS, SHIPPED, shipped, train_settings
from kshot.params.losses import LOSSES
from kshot.params.schema import load_params

ROOT = Path(__file__).parents[2]


def test_what_is_shipped_is_what_this_repositorys_own_project_starts_with() -> None:
    assert shipped() == load_params(ROOT / "params.yaml")
    assert SHIPPED.is_file()


def test_large_data_is_trained_on_as_shipped() -> None:
    assert train_settings({}, n_classes=100, smallest=20) == shipped()


def test_batches_are_no_larger_than_the_data() -> None:
    train = train_settings({}, n_classes=3, smallest=4).train
    assert (train.batch.classes, train.batch.images, train.batch.mine_neighbours) == (3, 4, 2)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_needs_no_more_than_its_name(loss: str) -> None:
    train = train_settings({"loss": loss}, n_classes=60, smallest=6).train
    assert train.loss.name == loss
    assert LOSS_NEEDS.keys() <= LOSSES.keys()


def test_mann_is_validated_on_no_more_classes_than_it_has_labels() -> None:
    params = train_settings({"method": "mann"}, n_classes=7, smallest=6)
    assert {name: protocol.n_way for name, protocol in params.episodes.protocols.items()} == {
        "5w1s": 5,
        "5w5s": 5,
        "20w1s": 7,
        "20w5s": 7,
    }


def test_what_is_named_wins_and_a_mapping_changes_its_keys() -> None:
    changes = {"loss": "triplet", "margin": 0.2, "l2_normalize": True, "size": 64, "augment": {"degrees": 0.0}}
    params = train_settings(changes, n_classes=60, smallest=6)
    assert (params.train.loss.mining, params.train.loss.margin, params.ingest.size) == ("semi_hard_nearest", 0.2, 64)
    assert (params.train.augment.degrees, params.train.augment.shear) == (0.0, shipped().train.augment.shear)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "triplets"}, r"^loss is 'triplets'; needs one of .*; did you mean triplet\?$"),
        ({"los": "triplet"}, r"^unknown setting los; did you mean loss\?$"),
        ({"qqq": 1}, "^unknown setting qqq; known are size, .*, margin, "),
        (
            {"method": "maml", "loss": "triplet"},
            "^loss is triplet with method maml; only the method metric is trained by a loss",
        ),
        ({"method": "mamml"}, r"^train.method.name is 'mamml'; needs one of .* did you mean maml\?$"),
        ({"steps": 0}, "^train.steps is 0; needs at least 1$"),
        ({"classes_per_batch": "many"}, "^train.batch.classes is 'many'; needs a whole number, or auto$"),
        ({"loss": "triplet", "l2_normalize": True}, "^train.loss.margin is 20; two unit vectors are at most 4 apart"),
    ],
)
def test_settings_that_do_not_fit_are_told_in_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        train_settings(changes, n_classes=60, smallest=6)
