"""The accuracy of a model on episodes that are drawn from labelled images."""

import operator
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kshot.data.episodes import EpisodeSet, draw_episodes
from kshot.errors import DataError, NotConverged, ParamsError
from kshot.estimator.chosen_classifier import check_classifier
from kshot.estimator.few_shot_classifier import FewShotClassifier, FewShotModel
from kshot.estimator.given_labels import checked_labels
from kshot.estimator.image_arrays import Images, prepared_and_hashed
from kshot.estimator.train_settings import shipped
from kshot.evaluation.evaluate import accuracies, embed_once, predict_episodes
from kshot.evaluation.inference import classifier_for
from kshot.params.sections.episodes import Protocol
from kshot.statistics import Interval, mean_interval


def evaluate(
    model: FewShotModel | FewShotClassifier,
    images: Images,
    labels: ArrayLike,
    n_way: int = 5,
    k_shot: int = 1,
    n_query: int | None = None,
    n_episodes: int | None = None,
    seed: int = 0,
) -> Interval:
    """Mean accuracy over episodes drawn from `images`, with its 95 % interval.

    model:      a model, or a classifier, of which only the classification method is used, not its fitted classes
    images:     N images of any kind that `FewShotModel.fit` accepts; labels: (N,)
    n_way:      classes of an episode, drawn without repetition; k_shot: support images of each
    n_query:    queries of each class; None: 15, as in params.yaml, or as many as the smallest class leaves
    n_episodes: None: 1000, as in params.yaml
    seed:       of the episodes; the same seed and images give every model the same episodes

    Accuracy on training classes is too optimistic: evaluate on others (`model.trained_on`). Images of a class with
    equal pixels count once, compared as decoded and not as the model prepares them. Returns `Interval(mean, low,
    high)`, shares in [0, 1]; see `kshot.statistics.mean_interval`. Raises DataError for too few classes or images,
    ParamsError for a number that is too low or not whole.

    >>> import kshot
    >>> kshot.evaluate(model, images, labels, n_way=5, k_shot=1)  # doctest: +SKIP
    Interval(mean=0.9712, low=0.9684, high=0.9738)
    """
    defaults = shipped().episodes
    n_episodes = defaults.n_episodes if n_episodes is None else n_episodes
    least_of = {"n_way": (n_way, 2), "k_shot": (k_shot, 1), "n_episodes": (n_episodes, 2), "seed": (seed, 0)}
    for name, (value, least) in (least_of | ({} if n_query is None else {"n_query": (n_query, 1)})).items():
        _check_whole(name, value, least)
    unfitted, classifier = _unfitted(model)
    pixels, hashes = prepared_and_hashed(images, unfitted.ingest)
    members = members_of(hashes, checked_labels(labels, len(pixels)))
    episodes = _drawn(members, n_way, k_shot, n_query or defaults.common_queries, n_query is None, n_episodes, seed)
    points = embed_once(unfitted.method, pixels, episodes.support, episodes.query)
    try:
        predicted = predict_episodes(points, episodes, classifier_for(unfitted.method, classifier))
    except (ValueError, NotConverged) as error:
        raise DataError(f"classifier {classifier} cannot classify these episodes: {error}") from None
    return mean_interval(accuracies(predicted))


def members_of(contents: Sequence[str], labels: NDArray[np.generic]) -> dict[str, NDArray[np.int64]]:
    """The positions of the images of each label (as text), in label order; images of equal content count once."""
    content, found = np.array(contents), {}
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        _, first = np.unique(content[places], return_index=True)
        found[str(label)] = places[np.sort(first)]
    return found


def _check_whole(name: str, value: object, least: int) -> None:
    """Raise ParamsError unless `value` is a whole number of at least `least`."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise ParamsError(f"{name} is {value!r}; needs a whole number of at least {least}") from None
    if number < least:
        raise ParamsError(f"{name} is {value}; needs at least {least}")


def _drawn(
    members: dict[str, NDArray[np.int64]],
    n_way: int,
    k_shot: int,
    n_query: int,
    fewer: bool,
    n_episodes: int,
    seed: int,
) -> EpisodeSet:
    """Draw episodes from `seed`; with `fewer`, use fewer queries if the smallest class does not have enough."""
    if n_way > len(members):
        raise DataError(f"n_way is {n_way}, and the images are of {len(members)} classes; needs {len(members)} at most")
    smallest = min(members, key=lambda name: len(members[name]))
    left = len(members[smallest]) - k_shot
    n_query = min(n_query, left) if fewer else n_query
    if n_query < 1 or n_query > left:
        raise DataError(
            f"class {smallest!r} has {len(members[smallest])} different images; "
            f"k_shot {k_shot} and {max(1, n_query)} queries need {k_shot + max(1, n_query)}: lower them, or add images"
        )
    return draw_episodes(
        list(members.values()),
        [""] * len(members),
        np.arange(len(members)),
        Protocol(n_way, k_shot, within_group=False),
        n_query=n_query,
        n_episodes=n_episodes,
        generator=np.random.default_rng(seed),
    )


def _unfitted(model: FewShotModel | FewShotClassifier) -> tuple[FewShotModel, str]:
    """The model, and the name of the classifier that is measured."""
    if isinstance(model, FewShotClassifier):
        unfitted = model.unfitted()
        check_classifier(model.classifier, unfitted.method, unfitted.inference)
        return unfitted, model.classifier or unfitted.inference.classifier
    if not isinstance(model, FewShotModel):
        raise ParamsError(f"model is {type(model).__name__}; needs what kshot.load or kshot.train returns")
    return model, model.inference.classifier
