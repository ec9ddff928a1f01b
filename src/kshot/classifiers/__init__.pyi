"""What `__init__.py` imports on first use, for type checkers and editors."""

from kshot.classifiers.attention import attention_head as attention_head
from kshot.classifiers.cosine_classifier import cosine_classifier_head as cosine_classifier_head
from kshot.classifiers.laplacian_shot import laplacian_shot_head as laplacian_shot_head
from kshot.classifiers.logistic_regression import logistic_regression_head as logistic_regression_head
from kshot.classifiers.nearest_neighbour import nearest_neighbour_head as nearest_neighbour_head
from kshot.classifiers.prototype import prototype_head as prototype_head
from kshot.classifiers.pt_map import pt_map_head as pt_map_head
from kshot.classifiers.simple_shot import simple_shot_head as simple_shot_head

OWN: str
SIMPLE_SHOT: str
INDUCTIVE: tuple[str, ...]
TRANSDUCTIVE: tuple[str, ...]
