"""How a trained model classifies, with thresholds and temperatures set on the held-out classes as in stage evaluate."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kshot.data.batches import Pixels
from kshot.data.episodes import EpisodeSet, draw_episodes
from kshot.evaluation.calibration import EPISODES, chosen_temperature, class_scores
from kshot.evaluation.evaluate import embed_once
from kshot.evaluation.inference import Inference, Temperature, classifier_for, inference_of
from kshot.evaluation.mean_distance import distance_name, mean_distance
from kshot.evaluation.open_set import calibrate
from kshot.methods.method import Method
from kshot.params.schema import Params
from kshot.params.sections.episodes import Protocol


def inference_settings(
    method: Method, params: Params, inputs: Pixels, held_out: Sequence[NDArray[np.int64]]
) -> Inference:
    """The settings for `method`; `held_out` has the ids of each held-out class in `inputs`."""
    evaluate = params.evaluate
    inference = inference_of(params.train.method.name, evaluate.classifier, method.batch_norm)
    inference = replace(inference, distance=distance_name(method, inference.classifier))
    # Of protocols with equal shots, the threshold of the one with the most classes is used, as in stage evaluate.
    protocols = sorted(params.episodes.by_name.values(), key=lambda protocol: protocol.n_way)
    drawn = [held_out_episodes(params, held_out, protocol) for protocol in protocols]
    known = [episodes for episodes in drawn if episodes is not None]
    if not known:
        return inference
    points = embed_once(method, inputs, *(ids for episodes in known for ids in episodes[:2]))
    classifier = classifier_for(method, inference.classifier)
    temperatures = {}
    for episodes in known:
        n_way, k_shot = episodes.support.shape[1:]
        scores, truth = class_scores(points, episodes, classifier)
        if (value := chosen_temperature(scores, truth, min(EPISODES, len(episodes.support)))) is not None:
            temperatures[n_way, k_shot] = Temperature(n_way, k_shot, value)
    limits = {}
    if method.has_fixed_embedding:
        between = mean_distance(method, inference.distance)
        limits = {one.support.shape[2]: calibrate(points, one, evaluate.accept_known, between) for one in known}
    return replace(inference, thresholds=limits, temperatures=tuple(temperatures.values()))


def held_out_episodes(params: Params, held_out: Sequence[NDArray[np.int64]], protocol: Protocol) -> EpisodeSet | None:
    """Episodes of `protocol` over the held-out classes, smaller if there are few; None if there are none."""
    usable = [ids for ids in held_out if len(ids) > protocol.k_shot]
    n_way = min(protocol.n_way, len(usable))
    if n_way < 2:
        return None
    n_query = min(params.episodes.queries(protocol), min(map(len, usable)) - protocol.k_shot)
    return draw_episodes(
        usable,
        [""] * len(usable),
        np.arange(len(usable)),
        Protocol(n_way, protocol.k_shot, within_group=False),
        n_query=n_query,
        n_episodes=params.episodes.n_episodes,
        generator=np.random.default_rng(params.episodes.seed),
    )
