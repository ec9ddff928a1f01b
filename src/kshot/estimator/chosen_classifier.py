"""Checks the classifier that a caller chooses for a trained model."""

from difflib import get_close_matches

from kshot import plugins
from kshot.classifiers import OWN, SIMPLE_SHOT
from kshot.classifiers.table import CLASSIFIERS
from kshot.errors import ParamsError
from kshot.evaluation.inference import Inference
from kshot.methods.method import Method


def check_classifier(name: str | None, method: Method, inference: Inference) -> None:
    """Raise ParamsError for a classifier that is unknown, or needs a fixed embedding that `method` does not have."""
    if name is None:
        return
    known = (OWN, SIMPLE_SHOT, *CLASSIFIERS, *plugins.names("classifiers"))
    if name not in known:
        near = "".join(f"; did you mean {near}?" for near in get_close_matches(str(name), known, n=1))
        raise ParamsError(f"classifier is {name!r}; needs None or one of {', '.join(known)}{near}")
    if name != OWN and not method.has_fixed_embedding:
        raise ParamsError(f"classifier is {name}; {inference.method} has no fixed embedding: leave it None")
