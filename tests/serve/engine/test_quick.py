"""Which models the event loop asks itself."""

import pytest

from kshot.evaluation.inference import inference_of
from kshot.serve.engine import quick
from tests.serve.engine.test_recognition import by_classifier, served


def test_a_small_network_is_quick_and_one_that_takes_longer_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    model = by_classifier("prototype").model
    monkeypatch.setattr(quick, "QUICK_S", 0.1)  # the limit itself depends on the machine
    assert quick.is_quick(model)
    monkeypatch.setattr(quick, "QUICK_S", 1e-6)
    assert not quick.is_quick(model)


def test_a_method_that_adapts_is_not_quick() -> None:
    assert not quick.is_quick(served(inference_of("maml", "method", "eval"), "maml").model)
