"""The former place of `FewShotModel`, by which older pickles name it."""

from kshot.estimator.few_shot_classifier import FewShotModel as FewShotModel
