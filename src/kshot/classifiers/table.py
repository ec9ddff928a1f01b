"""The classifiers by name; `kshot.classifiers` lists which of them are transductive."""

from kshot.classifiers.attention import attention_head
from kshot.classifiers.cosine_classifier import cosine_classifier_head
from kshot.classifiers.head import Head
from kshot.classifiers.laplacian_shot import laplacian_shot_head
from kshot.classifiers.logistic_regression import logistic_regression_head
from kshot.classifiers.nearest_neighbour import nearest_neighbour_head
from kshot.classifiers.prototype import prototype_head
from kshot.classifiers.pt_map import pt_map_head

HEADS: dict[str, Head] = {
    "prototype": prototype_head,
    "nearest_neighbour": nearest_neighbour_head,
    "attention": attention_head,
    "cosine_classifier": cosine_classifier_head,
    "logistic_regression": logistic_regression_head,
    "laplacian_shot": laplacian_shot_head,
    "pt_map": pt_map_head,
}
