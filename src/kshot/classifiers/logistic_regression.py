"""Logistic regression, fitted to the support of each episode."""

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kshot.distances import unit_length
from kshot.errors import NotConverged

STEPS = 1000  # maximum number of solver iterations


def logistic_regression_scores(support: Tensor, labels: Tensor, query: Tensor, n_way: int, c: float = 1.0) -> Tensor:
    """Decision values of scikit-learn's multinomial regression on unit-length embeddings (Tian et al. 2020).

    "Rethinking few-shot image classification", arXiv:2003.11539, section 3.2. `c` is the inverse of the L2 penalty.
    With unequal shots every class has the same weight. Shapes as in `kshot.classifiers`. Raises NotConverged if
    scikit-learn's solver does not reach its tolerance in STEPS.
    """
    from sklearn.linear_model import LogisticRegression  # here, because its import takes a second

    classes = labels.cpu().numpy()
    scores = []
    pairs = zip(unit_length(support).cpu().numpy(), unit_length(query).cpu().numpy(), strict=True)
    for episode_support, episode_query in pairs:
        regression = LogisticRegression(C=c, max_iter=STEPS, class_weight="balanced")
        found = _fitted(regression, episode_support, classes).decision_function(episode_query)
        # With two classes there is one number, positive for the second.
        scores.append(np.stack([-found, found], 1) / 2 if n_way == 2 else found)
    return torch.from_numpy(np.stack(scores)).to(support)


def _fitted(regression: Any, support: NDArray[Any], labels: NDArray[Any]) -> Any:
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            return regression.fit(support, labels)
        except ConvergenceWarning:
            raise NotConverged(
                f"logistic_regression did not reach its tolerance in {STEPS} steps; take another classifier in "
                "evaluate.classifier"
            ) from None
