import pytest

from kshot.params.schema import params_from
from tests.params.changed_settings import TIMM, refused, trained_with


def test_views_of_what_is_not_embedded_before_its_episode_are_told_in_one_line():
    mapping = trained_with(method="maml", n_way=5, loss="prototypical")
    mapping["evaluate"]["views"] = 5
    refused(mapping, "evaluate.views is 5; maml adapts the network .* set 1")
    mapping["evaluate"]["views"] = "auto"
    assert params_from(mapping).evaluate.views == "auto"


@pytest.mark.parametrize("views", [1, 2, 5, "auto"])
def test_views_of_a_frozen_backbone_are_any(views):
    mapping = trained_with(**{**TIMM, "adaptation": "frozen"})
    mapping["evaluate"]["views"] = views
    assert params_from(mapping).evaluate.views == views
