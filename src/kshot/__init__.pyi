"""What `__init__.py` imports on first use, for type checkers and editors."""

from kshot import classifiers as classifiers
from kshot import losses as losses
from kshot import mining as mining
from kshot.data import episodes as episodes
from kshot.errors import KshotError as KshotError
from kshot.estimator.episode_accuracy import evaluate as evaluate
from kshot.estimator.few_shot_classifier import FewShotClassifier as FewShotClassifier
from kshot.estimator.few_shot_classifier import FewShotModel as FewShotModel
from kshot.estimator.load_model import load as load
from kshot.estimator.train_folder import train as train
from kshot.serve.client import Client as Client
from kshot.statistics import Interval as Interval

__all__ = [
    "Client",
    "FewShotClassifier",
    "FewShotModel",
    "Interval",
    "KshotError",
    "classifiers",
    "episodes",
    "evaluate",
    "load",
    "losses",
    "mining",
    "train",
]
