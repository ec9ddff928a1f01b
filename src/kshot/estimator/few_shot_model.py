"""A trained model without classes: it embeds images, and learns classes from a few labelled ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from sklearn.base import BaseEstimator, TransformerMixin

from kshot.errors import CheckpointError, DataError
from kshot.estimator.image_arrays import Images, prepared
from kshot.evaluation.inference import Inference, save_inference
from kshot.methods.method import Method
from kshot.methods.saving import save_method
from kshot.nets.embedding import embed
from kshot.params.sections.ingest import Ingest

if TYPE_CHECKING:
    from kshot.estimator.few_shot_classifier import FewShotClassifier

FITTED_ONLY = ("predict", "predict_proba", "is_unknown", "score", "classes_")


class FewShotModel(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A trained embedding with its inference settings; `kshot.load` and `kshot.train` return one.

    It is immutable. `fit` returns a new `FewShotClassifier`, so that one model serves any number of sets of classes. In
    scikit-learn it is a transformer that needs no fitting: a step before any classifier. As the last step of a Pipeline
    use `FewShotClassifier(model)`, whose `fit` follows scikit-learn and changes the object itself.

    method:    the trained network, in evaluation mode
    inference: the classifier that it was evaluated with, and its thresholds for unknown images

    >>> import kshot
    >>> model = kshot.load("model/")  # doctest: +SKIP
    >>> shop = model.fit(["apple.jpg", "pear.jpg"], ["apple", "pear"])  # doctest: +SKIP
    >>> shop.predict(["what_is_it.jpg"])  # doctest: +SKIP
    array(['pear'], dtype='<U5')
    """

    def __init__(self, method: Method, inference: Inference) -> None:
        self.method = method
        self.inference = inference

    @property
    def ingest(self) -> Ingest:
        """How images are prepared: size, channels, invert, crop."""
        return self.method.embedding.settings.ingest

    @property
    def trained_on(self) -> tuple[str, ...]:
        """The names of the training classes; () for an old model that does not store them."""
        return self.method.embedding.settings.trained_on

    def fit(self, images: Images, labels: ArrayLike) -> FewShotClassifier:
        """Return a classifier of the classes in `labels`; the model does not change.

        images: N paths, bytes of image files, PIL images or uint8 arrays, or one uint8 array (N, H, W, C).
        labels: (N,), text or whole numbers, two classes or more. Raises DataError for images that cannot be read, and
        for labels that do not fit them.
        """
        from kshot.estimator.few_shot_classifier import FewShotClassifier

        fitted: FewShotClassifier = FewShotClassifier(self).fit(images, labels)
        return fitted

    def transform(self, images: Images) -> NDArray[np.float32]:
        """The embeddings of N images: float32 (N, D).

        Raises DataError for images that cannot be read, and for a method without a fixed embedding (maml, anil,
        reptile).
        """
        if not self.method.has_fixed_embedding:
            name = self.inference.method
            raise DataError(f"the model was trained by {name}, which adapts to each episode and has no fixed embedding")
        return self.embed(images)

    def fit_transform(self, images: Images, labels: ArrayLike | None = None) -> NDArray[np.float32]:
        """As `transform`; a trained embedding needs no fitting."""
        return self.transform(images)

    def embed(self, images: Images) -> NDArray[np.float32]:
        """The input of the classifier: embeddings, or pixels for methods without a fixed embedding."""
        pixels = prepared(images, self.ingest)
        points: NDArray[np.float32] = embed(self.method, pixels, np.arange(len(pixels))).numpy()
        return points

    def save(self, folder: str | Path) -> None:
        """Write the model into `folder`, which `kshot.load` reads; files of the same names are replaced.

        Raises CheckpointError for a folder that cannot be written.
        """
        try:
            save_method(self.method, Path(folder))
            save_inference(self.inference, Path(folder))
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"the model cannot be saved in {folder} ({getattr(error, 'strerror', None) or error}); needs a folder "
                "that can be written, new or there already"
            ) from None

    def __getattr__(self, name: str) -> Any:
        # Python calls this for missing attributes: an unfitted model says what to do instead.
        hint = "; the model is not fitted: classifier = model.fit(images, labels)" if name in FITTED_ONLY else ""
        if hint:
            hint += ", or kshot.FewShotClassifier(model) in a Pipeline"
        raise AttributeError(f"FewShotModel has no {name}{hint}")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return {}: a trained model has no parameters to set."""
        return {}

    def __sklearn_clone__(self) -> FewShotModel:
        return FewShotModel(self.method, self.inference)  # the network never changes, so it is shared

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __repr__(self) -> str:
        settings, ingest = self.method.embedding.settings, self.ingest
        by = f"{settings.loss} loss" if settings.loss else self.inference.method
        colour = "grey" if ingest.channels == 1 else "RGB"
        return (
            f"FewShotModel({settings.backbone}, trained by {by}, {ingest.size} x {ingest.size} {colour}, "
            f"predicts by {self.inference.by})"
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        return {"text/plain": repr(self)}  # scikit-learn would draw the whole network
