import pytest

from kshot.errors import ParamsError
from kshot.methods import table
from kshot.params.methods import METHODS, arguments_of
from kshot.params.schema import params_from
from tests.params.changed_settings import trained_with


def params(evaluate=None, **train):
    mapping = trained_with(**train)
    mapping["evaluate"].update(evaluate or {})
    return params_from(mapping)


def test_every_method_of_the_table_can_be_made_and_no_other():
    assert set(METHODS) == set(table.METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_changing_the_method_alone_is_enough(method):
    assert params(method=method).train.method.name == method


def test_arguments_left_out_are_the_defaults():
    found = arguments_of("maml", {"steps": 7, "rate": 0.2})
    assert found == {
        "steps": 7, "test_steps": 5, "rate": 0.2, "batch_norm": "transductive", "first_order": False,
        "learn_rates": False, "start": "zero",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "prototypal"}, r"is 'prototypal'; needs one of metric, .*; did you mean prototypical\?"),
        ({"method_arguments": {"steps": 2}}, "steps is no argument of metric; known are none"),
        ({"method": "maml", "method_arguments": {"step": 2}}, "step is no argument of maml; known are steps, test_s"),
        ({"method": "maml", "method_arguments": {"steps": 0}}, "steps is 0; needs a whole number from 2 to 100"),
        ({"method": "maml", "method_arguments": {"steps": 1.5}}, "steps is 1.5; needs a whole number"),
        ({"method": "maml", "method_arguments": {"rate": True}}, "rate is True; needs a number above 0"),
        ({"method": "maml", "method_arguments": {"rate": -1}}, "rate is -1; needs a number above 0 and at most 100"),
        ({"method": "maml", "method_arguments": {"first_order": 1}}, "first_order is 1; needs true or false"),
        ({"method": "maml", "method_arguments": {"batch_norm": "eval"}}, "'eval'; needs one of transductive, support"),
        ({"method": "maml", "method_arguments": {"steps": [1]}}, "steps is .1.; needs a value of type bool or int or"),
        ({"method": "maml", "method_arguments": {"rate": None}}, "rate is None; needs a value of type bool or int or"),
        ({"method": "anil", "method_arguments": {"test_steps": 0}}, "test_steps is 0; needs a whole number from 1"),
        ({"method": "mann", "n_way": 5, "evaluate": {"classifier": "prototype"}}, "20w1s.n_way is 20; mann knows 5"),
        ({"method": "maml", "mine_every": 9}, "train.batch.mine_every is 9; maml adapts the network to each episode"),
        ({"method": "maml", "n_way": 61}, "train.method.n_way is 61 of train.batch.classes 60; needs 2 up to that"),
        ({"method": "maml", "n_way": 1}, "train.method.n_way is 1"),
        ({"n_way": 5}, "train.method.n_way is 5; metric takes the whole batch: set null"),
        ({"method": "matching", "k_shot": 6}, "train.method.k_shot is 6 of train.batch.images 6; needs at"),
        ({"method": "maml", "evaluate": {"classifier": "prototype"}}, "evaluate.classifier is prototype; maml adapts"),
        ({"method": "mann", "n_way": 5}, "episodes.protocols.20w1s.n_way is 20; mann knows 5 labels: at most 5"),
        ({"method": "relation", "head_dim": 8}, "relation, which compares feature maps: set train.projection.dim"),
    ],
)  # fmt: skip
def test_wrong_settings_are_told_in_one_line(changes, message):
    with pytest.raises(ParamsError, match=message) as error:
        params(**changes)
    assert "\n" not in str(error.value)


def test_a_setting_of_the_prototypical_loss_does_not_bind_other_methods():
    assert params(method="mann", k_shot=6).train.method.k_shot == 6
