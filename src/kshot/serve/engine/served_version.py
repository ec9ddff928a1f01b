"""A registered version in the service: its network, its inference settings, and its classifier's scores."""

import threading
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from kshot.classifiers import COSINE, OWN
from kshot.classifiers.classifier import Classifier
from kshot.classifiers.nearest_neighbour import nearest_neighbour_scores
from kshot.classifiers.prototype import prototype_scores
from kshot.errors import NotConverged
from kshot.estimator.few_shot_classifier import FewShotModel
from kshot.evaluation.inference import classifier_for
from kshot.methods.prototypical import Prototypical
from kshot.serve.engine.gallery_state import GalleryState, centred
from kshot.serve.messages.refusals import Refused

Array = NDArray[np.float32]
MOST_NUMBERS = 2**29  # that a method may hold at once while it adapts to a gallery: 2 GiB of float32


@dataclass(frozen=True, eq=False)
class ServedVersion:
    """key    the sha256 of the model's files, by which its embeddings are cached
    quick  whether a forward pass of one image takes so little time that the event loop runs it (`loop_batch`)
    """

    name: str
    version: str
    alias: str
    key: str
    model: FewShotModel
    quick: bool = False
    _scoring: threading.RLock = field(default_factory=threading.RLock)

    @property
    def has_fixed_embedding(self) -> bool:
        """Whether the embedding of an image is independent of the gallery."""
        return self.model.method.has_fixed_embedding

    @property
    def calibrated(self) -> bool:
        """Whether probabilities are calibrated: the model has temperatures that were fitted on held-out classes."""
        return bool(self.model.inference.temperatures)

    def temperature(self, state: GalleryState) -> float:
        """The divisor of scores before the softmax: 1 for a model that is not calibrated."""
        return self.model.inference.temperature(len(state.class_names), state.shots) or 1.0

    @cached_property
    def centre(self) -> Array:
        """The mean embedding of the training images: (D,)."""
        found: Array = self.model.method.centre.float().cpu().numpy()
        return found

    @cached_property
    def classifier(self) -> Classifier:
        """The classifier that the model was evaluated with."""
        return classifier_for(self.model.method, self.model.inference.classifier)

    def threshold(self, state: GalleryState) -> float | None:
        """The distance beyond which an image is unknown: the gallery's own, or else the model's for as many shots."""
        if not self.has_fixed_embedding:
            return None
        own = state.gallery.unknown_threshold
        return own if own is not None else self.model.inference.threshold(state.shots)

    @property
    def distance(self) -> str:
        """By which the model compares a query with class means, one of `kshot.evaluation.mean_distance`."""
        return self.model.inference.distance

    def squared_distances(self, state: GalleryState, query: Array) -> Array | None:
        """Of embedded queries (Q, D) to each class's mean, (Q, C), as `GalleryState.mean_index` returns them.

        None for methods without a fixed embedding.
        """
        return state.mean_index.squared_distances(query) if self.has_fixed_embedding else None

    def scores(self, state: GalleryState, query: Array, squared: Array | None) -> Array:
        """The classifier's scores (Q, C) of embedded queries (Q, D), for a gallery of two classes or more.

        `squared`: what `squared_distances` returns for them, from which the nearest prototype is found.
        Raises Refused for a gallery that the classifier cannot use. A transductive classifier uses all queries of
        the request together.
        """
        if self.classifier is prototype_scores and squared is not None:
            return -squared
        if self.classifier is nearest_neighbour_scores:
            return _nearest_neighbour(state, query)
        if self.model.inference.classifier == "simple_shot":
            return -state.simple_shot_index.squared_distances(centred(query, state.centre))
        if self._prototypical is not None and squared is not None:
            distance, scale = self._prototypical
            if distance != "cosine":
                return -scale * squared
            if state.distance != COSINE:  # the thresholds of older models are Euclidean distances
                squared = state.cosine_index.squared_distances(query)
            by_cosine: Array = scale * (1 - squared / np.float32(2))
            return by_cosine
        return self._by_classifier(state, query)

    @cached_property
    def searches(self) -> bool:
        """Whether scores follow from a search among embeddings, rather than from a computation over all examples."""
        by_search = self.classifier in (prototype_scores, nearest_neighbour_scores)
        return by_search or self.model.inference.classifier == "simple_shot" or self._prototypical is not None

    @cached_property
    def _prototypical(self) -> tuple[str, np.float32] | None:
        """The distance and scale of a Prototypical's own scores, which follow from the distances to class means.

        None for any other classifier: it gets all examples at each request.
        """
        method = self.model.method
        if self.model.inference.classifier != OWN or type(method) is not Prototypical:
            return None
        return method.distance, np.float32(method.log_scale.detach().exp().item())

    def _by_classifier(self, state: GalleryState, query: Array) -> Array:
        method, n_way = self.model.method, len(state.class_names)
        needed = method.footprint(len(state.ids), len(query), n_way)
        if needed > MOST_NUMBERS:
            raise Refused(
                409,
                "gallery_too_large",
                f"{self.model.inference.by} would hold {4 * needed / 2**30:.1f} GiB for {len(state.ids):,} examples; "
                f"needs at most {4 * MOST_NUMBERS / 2**30:.0f} GiB: serve a model with a fixed embedding",
            )
        support, labels = torch.from_numpy(state.points)[None], torch.from_numpy(state.labels)
        try:
            # A method's own scores may use the network, which adapts to a gallery in place.
            with self._scoring, torch.no_grad():
                found: Array = self.classifier(support, labels, torch.from_numpy(query)[None], n_way)[0].float().numpy()
        except (ValueError, NotConverged) as error:
            text = " ".join(str(error).split())
            raise Refused(
                409, "cannot_predict", f"{self.model.inference.by} cannot classify with this gallery: {text}"
            ) from error
        return found


def _nearest_neighbour(state: GalleryState, query: Array) -> Array:
    squared = state.example_index.squared_distances(query)
    starts = np.flatnonzero(np.diff(state.labels, prepend=-1))  # examples are in the order of their classes
    found: Array = -np.minimum.reduceat(squared, starts, axis=1)
    return found
