"""A few-shot classifier by scikit-learn's conventions: a trained model and the classes it was fitted to."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from kshot import plugins
from kshot.classifiers import OWN, SIMPLE_SHOT
from kshot.classifiers.prototype import prototype_scores
from kshot.classifiers.table import CLASSIFIERS
from kshot.errors import DataError, NotConverged, ParamsError
from kshot.estimator.few_shot_model import FewShotModel
from kshot.estimator.given_labels import checked_labels
from kshot.estimator.image_arrays import Images, as_list
from kshot.estimator.load_model import load
from kshot.evaluation.inference import scorer


class FewShotClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classifies images by a few labelled images a class, without training.

    model:      a `FewShotModel`, or any argument that `kshot.load` accepts
    classifier: how queries are classified from embeddings; None: as the model was evaluated. Others are prototype,
                simple_shot, nearest_neighbour, attention, cosine_classifier, logistic_regression, and transductive
                (all queries of one call together) laplacian_shot and pt_map

    By scikit-learn's convention `fit` sets attributes that end in an underscore and returns the classifier itself, so
    that Pipeline, clone, cross_val_score and GridSearchCV work. Clones share the trained network, which never changes.

    classes_         (n_classes,), the sorted labels
    support_         float32 (N, D), the embedded support images
    support_labels_  int64 (N,), their indices in `classes_`
    model_           the `FewShotModel`

    >>> import kshot
    >>> classifier = kshot.FewShotClassifier("model/", classifier="nearest_neighbour")  # doctest: +SKIP
    >>> classifier.fit(images, labels).score(queries, truth)  # doctest: +SKIP
    0.97
    """

    def __init__(self, model: FewShotModel | str | Path, classifier: str | None = None) -> None:
        self.model = model
        self.classifier = classifier

    def fit(self, X: Images, y: ArrayLike) -> FewShotClassifier:
        """Embed the support images `X` with the labels `y` (N,); returns self.

        X: N paths, bytes of image files, PIL images or uint8 arrays, or one uint8 array (N, H, W, C). Raises DataError
        for images that cannot be read, fewer than two classes, and labels that do not fit the images; ParamsError for
        an unknown classifier. A fit that fails leaves an earlier one as it was.
        """
        images = as_list(X)
        labels = checked_labels(y, len(images))
        model = self.unfitted()
        check_classifier(self.classifier, model)
        classes, of_image = np.unique(labels, return_inverse=True)
        if len(classes) < 2:
            raise DataError(f"labels names one class, {labels.tolist()[0]!r}; needs two or more to tell apart")
        support = model.embed(images)
        # Last, so that a fit that fails leaves the fitted classes and their support as they were.
        self.classes_, self.support_labels_, self.support_, self.model_ = classes, of_image, support, model
        return self

    def unfitted(self) -> FewShotModel:
        """The underlying model, loaded if it was given as a folder or an address."""
        return self.model if isinstance(self.model, FewShotModel) else load(self.model)

    def predict(self, X: Images) -> NDArray[Any]:
        """Predict the class of each query: (N,), of the labels' dtype. Kinds of images and errors as in `fit`."""
        shares = self.predict_proba(X)
        found: NDArray[Any] = self.classes_[shares.argmax(1)]
        return found

    def predict_proba(self, X: Images) -> NDArray[np.float64]:
        """Probabilities of the classes: float64 (N, n_classes), in the order of `classes_`, rows sum to 1.

        Softmax of the classifier's scores divided by the temperature that was fitted on held-out classes for the
        nearest protocol (Guo et al. 2017, arXiv:1706.04599). The model has none, and the shares are not calibrated,
        with another `classifier` than it was evaluated with, and if no classes were held out. Every image gets a class,
        also one of none of them: see `is_unknown`.
        """
        self._check_fitted()
        scores = self._scores(torch.from_numpy(self.model_.embed(X)))
        shares: NDArray[np.float64] = (scores.double() / (self.temperature or 1)).softmax(1).numpy()
        return shares

    @property
    def temperature(self) -> float | None:
        """The divisor of scores in `predict_proba`; None if probabilities are not calibrated."""
        self._check_fitted()
        inference = self.model_.inference
        if self.classifier not in (None, inference.classifier):
            return None
        return inference.temperature(len(self.classes_), len(self.support_) / len(self.classes_))

    def is_unknown(self, X: Images) -> NDArray[np.bool_]:
        """Whether each query belongs to none of the classes: bool (N,).

        True if the Euclidean distance to every class mean exceeds the threshold that is stored with the model, which
        was set on classes that it was not trained on. Raises DataError if the model has none: no classes were held out,
        or its method has no fixed embedding.
        """
        self._check_fitted()
        shots = len(self.support_) / len(self.classes_)
        threshold = self.model_.inference.threshold(shots)
        if threshold is None:
            raise DataError(
                "the model stores no threshold for unknown images; needs a model that was evaluated on held-out classes"
            )
        return np.asarray(self.distances(X).min(1) > threshold)

    def distances(self, X: Images) -> NDArray[np.float64]:
        """Euclidean distance of each query to each class mean: float64 (N, n_classes), in the order of `classes_`."""
        self._check_fitted()
        query = torch.from_numpy(self.model_.transform(X))
        squared = -self._by(prototype_scores, query)
        found: NDArray[np.float64] = squared.clamp_min(0).sqrt().double().numpy()
        return found

    def transform(self, X: Images) -> NDArray[np.float32]:
        """The embeddings of N images: float32 (N, D), as `FewShotModel.transform`."""
        self._check_fitted()
        return self.model_.transform(X)

    def _scores(self, query: torch.Tensor) -> torch.Tensor:
        name = self.classifier or self.model_.inference.classifier
        try:
            return self._by(scorer(self.model_.method, name), query)
        except (ValueError, NotConverged) as error:
            raise DataError(f"classifier {name} cannot classify these images: {error}") from None

    def _by(self, score: Callable[..., torch.Tensor], query: torch.Tensor) -> torch.Tensor:
        support, labels = torch.from_numpy(self.support_), torch.from_numpy(self.support_labels_)
        return score(support[None], labels, query[None], len(self.classes_))[0]

    def _check_fitted(self) -> None:
        check_is_fitted(self, "support_")

    def __sklearn_clone__(self) -> FewShotClassifier:
        return type(self)(**self.get_params(deep=False))


def check_classifier(name: str | None, model: FewShotModel) -> None:
    """Raise ParamsError for a classifier that is unknown, or needs a fixed embedding that `model` does not have."""
    if name is None:
        return
    known = (OWN, SIMPLE_SHOT, *CLASSIFIERS, *plugins.names("classifiers"))
    if name not in known:
        near = "".join(f"; did you mean {near}?" for near in get_close_matches(str(name), known, n=1))
        raise ParamsError(f"classifier is {name!r}; needs None or one of {', '.join(known)}{near}")
    if name != OWN and not model.method.has_fixed_embedding:
        raise ParamsError(f"classifier is {name}; {model.inference.method} has no fixed embedding: leave it None")
