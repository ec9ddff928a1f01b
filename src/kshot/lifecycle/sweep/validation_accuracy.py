"""The accuracy of a trained model on each validation episode, predicted as stage evaluate predicts test episodes."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kshot.evaluation.evaluate import accuracies, predict_episodes
from kshot.evaluation.inference import inference_of
from kshot.lifecycle.data.packed import read_manifest
from kshot.lifecycle.project import layout
from kshot.lifecycle.settings_fit.resolved import resolved_here
from kshot.lifecycle.stages.evaluation.chosen_views import chosen_views
from kshot.lifecycle.stages.evaluation.held_out import read_held_out
from kshot.lifecycle.stages.evaluation.predictions import test_protocols
from kshot.methods.saving import METRIC
from kshot.nets.embedding import load_settings
from kshot.params.schema import Params


@dataclass(frozen=True)
class ValidationAccuracy:
    """`accuracies` (E,) of the episodes of `protocol`; `episodes` is a hash of these, `by` names the classifier."""

    protocol: str
    episodes: str
    by: str
    accuracies: NDArray[np.float64]


def validation_accuracy(root: Path, params: Params, protocol: str) -> ValidationAccuracy:
    """Predict all validation episodes of `protocol` with the trained model of the tree `root`.

    `protocol` is as in train.validation.protocol: a name, or auto. Raises ParamsError for an unknown name.
    """
    validation = replace(params.train.validation, protocol=protocol)
    params = resolved_here(root, replace(params, train=replace(params.train, validation=validation)))
    name = params.train.validation.protocol
    settings = load_settings(root / layout.MODEL)
    method = (settings.method or METRIC)["name"]
    inference = inference_of(method, params.evaluate.classifier, settings.batch_norm)
    inference = replace(inference, views=chosen_views(root, params, inference, test_protocols(root)).views)
    found = read_held_out(root, [name], inference)
    episodes = found.episodes[name]
    digest = hashlib.sha256("\n".join(map(str, read_manifest(root)["path"])).encode())
    for part in (episodes.support, episodes.query):
        digest.update(repr(part.shape).encode() + np.ascontiguousarray(part, dtype=np.int64).tobytes())
    predicted = predict_episodes(found.points, episodes, found.classifier)
    return ValidationAccuracy(name, digest.hexdigest()[:16], inference.by, accuracies(predicted))
