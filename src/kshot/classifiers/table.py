"""The classifiers by name; `kshot.classifiers` lists which of them are transductive."""

from kshot.classifiers.attention import attention_scores
from kshot.classifiers.classifier import Classifier
from kshot.classifiers.cosine_classifier import cosine_classifier_scores
from kshot.classifiers.laplacian_shot import laplacian_shot_scores
from kshot.classifiers.logistic_regression import logistic_regression_scores
from kshot.classifiers.nearest_neighbour import nearest_neighbour_scores
from kshot.classifiers.prototype import prototype_scores
from kshot.classifiers.pt_map import pt_map_scores

CLASSIFIERS: dict[str, Classifier] = {
    "prototype": prototype_scores,
    "nearest_neighbour": nearest_neighbour_scores,
    "attention": attention_scores,
    "cosine_classifier": cosine_classifier_scores,
    "logistic_regression": logistic_regression_scores,
    "laplacian_shot": laplacian_shot_scores,
    "pt_map": pt_map_scores,
}
