"""Logistic regression, fitted to the support of each episode."""

import numpy as np
import torch
from torch import Tensor

from kshot.distances import unit_length


def logistic_regression_head(support: Tensor, labels: Tensor, query: Tensor, n_way: int, c: float = 1.0) -> Tensor:
    """Decision values of scikit-learn's multinomial regression on unit-length embeddings (Tian et al. 2020).

    "Rethinking few-shot image classification", arXiv:2003.11539, section 3.2. `c` is the inverse of the L2 penalty.
    With unequal shots each class counts alike. Shapes as in `kshot.heads`.
    """
    from sklearn.linear_model import LogisticRegression  # here, because its import takes a second

    known = labels.cpu().numpy()
    scores = []
    for few, asked in zip(unit_length(support).cpu().numpy(), unit_length(query).cpu().numpy(), strict=True):
        found = LogisticRegression(C=c, max_iter=1000, class_weight="balanced").fit(few, known).decision_function(asked)
        # With two classes there is one number, in favour of the second.
        scores.append(np.stack([-found, found], 1) / 2 if n_way == 2 else found)
    return torch.from_numpy(np.stack(scores)).to(support)
