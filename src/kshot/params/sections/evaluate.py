"""How a model is evaluated, and the content of its report."""

import dataclasses
from typing import Literal

from kshot import plugins
from kshot.params.classifiers import CLASSIFIERS, plugin_classifier
from kshot.params.reader import need


@dataclasses.dataclass(frozen=True)
class Evaluate:
    classifier: str
    views: Literal[1, 2, 5, "auto"]  # auto: 1 or 2, measured on the validation classes
    accept_known: float
    confused_pairs: int
    projection_classes: int

    def __post_init__(self) -> None:
        if plugin_classifier(self.classifier) is None:
            known = (*CLASSIFIERS, *plugins.names("classifiers"))
            need(
                self.classifier in CLASSIFIERS,
                f"evaluate.classifier is {self.classifier!r}; needs one of {', '.join(known)}",
            )
        share = self.accept_known
        need(0 < share <= 1, f"evaluate.accept_known is {share}; needs to lie above 0 and be at most 1")
        for key in ("confused_pairs", "projection_classes"):
            value = getattr(self, key)
            need(value >= 0, f"evaluate.{key} is {value}; needs 0 or more")
