"""A trained model, and a classifier by scikit-learn's conventions of the classes that it was fitted to.

One file, because each makes the other: `FewShotModel.fit` a classifier, `FewShotClassifier("model/")` a model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from kshot.errors import DataError, NotConverged
from kshot.estimator.chosen_classifier import check_classifier
from kshot.estimator.given_labels import checked_labels
from kshot.estimator.image_arrays import Images, as_list, prepared
from kshot.estimator.stored_model import store_model, stored_model
from kshot.evaluation.inference import Inference, classifier_for
from kshot.evaluation.mean_distance import mean_distance
from kshot.methods.method import Method
from kshot.nets.embedding import embed
from kshot.params.sections.ingest import Ingest
from kshot.prototypes import prototypes

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
        return FewShotClassifier(self).fit(images, labels)

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
        store_model(self.method, self.inference, Path(folder))

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
        check_classifier(self.classifier, model.method, model.inference)
        classes, of_image = np.unique(labels, return_inverse=True)
        if len(classes) < 2:
            raise DataError(f"labels names one class, {labels.tolist()[0]!r}; needs two or more to tell apart")
        support = model.embed(images)
        # Last, so that a fit that fails leaves the fitted classes and their support as they were.
        self.classes_, self.support_labels_, self.support_, self.model_ = classes, of_image, support, model
        return self

    def unfitted(self) -> FewShotModel:
        """The underlying model, loaded if it was given as a folder or an address."""
        return self.model if isinstance(self.model, FewShotModel) else FewShotModel(*stored_model(self.model))

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

        True if the distance to every class mean exceeds the threshold that is stored with the model, which
        was set on classes that it was not trained on. Raises DataError if the model has none: no classes were held out,
        or its method has no fixed embedding.
        """
        self._check_fitted()
        threshold = self.model_.inference.threshold(len(self.support_) / len(self.classes_))
        if threshold is None:
            raise DataError(
                "the model stores no threshold for unknown images; needs a model that was evaluated on held-out classes"
            )
        return np.asarray(self.distances(X).min(1) > threshold)

    def distances(self, X: Images) -> NDArray[np.float64]:
        """Distance of each query to each class mean: float64 (N, n_classes), in the order of `classes_`.

        Euclidean; 1 - cos, in [0, 2], for a model that was evaluated with a classifier that compares by cosine.
        """
        self._check_fitted()
        # In float64: far from the origin float32 has few digits left for a mean.
        query, support = (torch.from_numpy(points).double() for points in (self.model_.transform(X), self.support_))
        means = prototypes(support, torch.from_numpy(self.support_labels_), len(self.classes_))
        between = mean_distance(self.model_.method, self.model_.inference.distance)
        found: NDArray[np.float64] = between(query, means).numpy()
        return found

    def transform(self, X: Images) -> NDArray[np.float32]:
        """The embeddings of N images: float32 (N, D), as `FewShotModel.transform`."""
        self._check_fitted()
        return self.model_.transform(X)

    def _scores(self, query: torch.Tensor) -> torch.Tensor:
        name = self.classifier or self.model_.inference.classifier
        score = classifier_for(self.model_.method, name)
        support, labels = torch.from_numpy(self.support_), torch.from_numpy(self.support_labels_)
        try:
            return score(support[None], labels, query[None], len(self.classes_))[0]
        except (ValueError, NotConverged) as error:
            raise DataError(f"classifier {name} cannot classify these images: {error}") from None

    def _check_fitted(self) -> None:
        check_is_fitted(self, "support_")

    def __sklearn_clone__(self) -> FewShotClassifier:
        return type(self)(**self.get_params(deep=False))
