"""Principal components after training are fitted to a bounded number of images."""

import numpy as np
import pytest

from kshot.errors import DataError
from kshot.methods.table import build_method, describe
from kshot.nets.embedding import Embedding
from kshot.nets.embedding_settings import EmbeddingSettings
from kshot.params.sections.ingest import Ingest
from kshot.params.sections.train_sections import Reduce
from kshot.training import reduction
from tests.training.test_loop import CLASSES, IMAGES, SIZE, params, toy_images


def test_the_components_are_fitted_to_so_many_images_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    ingest = Ingest(size=SIZE, channels=1, invert=True, crop="none")
    method = build_method(describe(params().method, 6), Embedding(EmbeddingSettings(backbone="conv4", ingest=ingest)))
    every, wanted = np.arange(CLASSES * IMAGES), Reduce(dim=10, whiten=False)
    monkeypatch.setattr(reduction, "MOST_IMAGES", 8)
    with pytest.raises(DataError, match="8 training images"):
        reduction.fit_reduction(method, toy_images(), every, wanted)
    monkeypatch.setattr(reduction, "MOST_IMAGES", 40)
    assert 0.5 < reduction.fit_reduction(method, toy_images(), every, wanted) < 1
    assert method.embedding.dim == 10 and method.centre.shape == (10,)
