import pytest

from tests.params.changed_settings import TIMM, changed, refused, trained_with


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("train.steps", 0, "train.steps is 0; needs at least 1"),
        ("train.batch.classes", 1, "train.batch.classes is 1; needs at least 2"),
        ("train.method.k_shot", 6, "train.method.k_shot is 6 of train.batch.images 6"),
        ("train.splits", ["val"], r"train.splits is \['val'\]; needs \[train\], or \[train, val\]"),
        ("train.splits", ["train", "val"], "needs patience: 0"),
        ("train.validation.protocol", "9w9s", "train.validation.protocol is '9w9s'; needs one of 5w1s"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(path, value, message):
    refused(changed(path, value), message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"adaptation": "frozen"},
            "nothing has trained: set train.network.pretrained or train.network.checkpoint",
        ),
        ({**TIMM, "adaptation": "frozen", "method": "maml", "n_way": 5}, "maml changes the whole network .* set full"),
        ({**TIMM, "adaptation": "frozen", "head_dim": 8}, "a projection has to be trained: set adaptation: projection"),
        ({**TIMM, "adaptation": "projection"}, "adaptation is projection; needs train.projection.dim"),
        ({**TIMM, "adaptation": "lora", "layer_decay": 0.5}, "only in full: set 1"),
        (
            {**TIMM, "adaptation": "some"},
            "train.network.adaptation is 'some'; needs one of full, lora, projection, frozen",
        ),
        ({"head_hidden": 8}, "hidden is 8 without a projection: set train.projection.dim too"),
        ({"layer_decay": 0.0}, "layer_decay is 0.0; needs to lie above 0"),
        ({"lora": {"rank": 0, "alpha": 16}}, "train.lora.rank is 0; needs at least 1"),
        ({"reduce": {"dim": 0, "whiten": False}}, "train.projection.reduce.dim is 0; needs at least 1"),
        ({"head_dim": 8, "reduce": {"dim": 9, "whiten": False}}, "reduce.dim is 9 of train.projection.dim 8"),
        ({"method": "siamese", "reduce": {"dim": 9, "whiten": False}}, "siamese learns to compare .* one of metric"),
    ],
)
def test_what_cannot_learn_or_be_reduced_that_way_is_told_in_one_line(changes, message):
    refused(trained_with(**changes), message)
