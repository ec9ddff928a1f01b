"""What `__init__.py` imports on first use, for type checkers and editors."""

from kshot.classifiers.attention import attention_scores as attention_scores
from kshot.classifiers.cosine_classifier import cosine_classifier_scores as cosine_classifier_scores
from kshot.classifiers.laplacian_shot import laplacian_shot_scores as laplacian_shot_scores
from kshot.classifiers.logistic_regression import logistic_regression_scores as logistic_regression_scores
from kshot.classifiers.nearest_neighbour import nearest_neighbour_scores as nearest_neighbour_scores
from kshot.classifiers.prototype import prototype_scores as prototype_scores
from kshot.classifiers.pt_map import pt_map_scores as pt_map_scores
from kshot.classifiers.simple_shot import simple_shot_scores as simple_shot_scores

OWN: str
SIMPLE_SHOT: str
INDUCTIVE: tuple[str, ...]
TRANSDUCTIVE: tuple[str, ...]
EUCLIDEAN: str
COSINE: str
CENTRED: str
MEAN_DISTANCES: tuple[str, ...]
