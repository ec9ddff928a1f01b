"""The facts about a registered model that its bill of material and its card both repeat."""

from dataclasses import dataclass, field
from typing import Any

NOT_RECORDED = "not recorded"
Row = dict[str, str]


@dataclass(frozen=True)
class DescribedModel:
    """One version of a project's model.

    decided          when the version was decided about, ISO 8601; `decision`: the same for a person
    manifest_sha256  of the served model's manifest
    weights          file to sha256 of those files of the served model that hold what was trained
    network          the backbone's name; `training`: how its training began
    metrics          reports/metrics.json
    groups, classes  rows of evaluation/groups.csv and classes.csv
    protocol         the protocol of which groups and weak classes are shown
    splits           split to its number of classes
    images           of the data version; `source`: where they came from, for a person
    packages         distribution to version
    reasons          the gate's sentences
    limits           what the figures do not say, and what was not verified
    """

    project: str
    version: str
    decided: str
    decision: str
    manifest_sha256: str
    weights: dict[str, str]
    network: str
    training: str
    metrics: dict[str, Any]
    protocol: str
    data_version: str
    images: int
    source: str
    splits: dict[str, int] = field(default_factory=dict)
    groups: list[Row] = field(default_factory=list)
    classes: list[Row] = field(default_factory=list)
    class_count: int = 0
    packages: dict[str, str] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()

    @property
    def classifier(self) -> str:
        """How it predicts; an older record may lack it."""
        how = self._inference()
        return str(how.get("by", how.get("head", NOT_RECORDED)))

    @property
    def method(self) -> str:
        """How it was trained; an older record may lack it."""
        return str(self._inference().get("method", NOT_RECORDED))

    def _inference(self) -> dict[str, Any]:
        found: dict[str, Any] = self.metrics.get("inference", self.metrics.get("answering", {}))  # until 2026-11
        return found
