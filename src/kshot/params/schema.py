"""The whole of params.yaml as one frozen value: `Params`, whose sections are in `kshot.params.sections`.

The file has the defaults, so the classes have none: unknown and missing keys are both errors. A protocol may omit
rarely used keys, so that protocols recorded by older versions stay readable.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from kshot import plugins
from kshot.classifiers import OWN
from kshot.params import project_name
from kshot.params.engine import Engine
from kshot.params.methods import options_of
from kshot.params.reader import MissingKeys, build, need, read_mapping
from kshot.params.renamed import migrate
from kshot.params.sections.embed import Embed
from kshot.params.sections.episodes import Episodes
from kshot.params.sections.evaluate import Evaluate
from kshot.params.sections.gate import Gate
from kshot.params.sections.ingest import Ingest
from kshot.params.sections.record import Record
from kshot.params.sections.split import Split
from kshot.params.sections.train import Train
from kshot.params.sections.validate import Validate

AUTO: Literal["auto"] = "auto"  # what the data can fill, decided again for each data version
# Keys that older projects lack, as in params.yaml (a test compares), for the message that says what to add.
ADDED = {
    "gate.group_protocol": "5w1s",
    "gate.significantly_worse": "refuse",
    "gate.reference": "best",
    "gate.max_class_drop": "0.03",
    "record.code": '["*.py", "*.pyx", dvc.yaml, params.yaml, pyproject.toml]',
}


@dataclasses.dataclass(frozen=True)
class Params:
    """The whole of params.yaml, checked."""

    ingest: Ingest
    split: Split
    validate: Validate
    episodes: Episodes
    embed: Embed
    train: Train
    evaluate: Evaluate
    gate: Gate
    record: Record
    project: str = project_name.BEFORE
    engine: Engine = "local"  # see kshot.params.engine; settings recorded by older versions lack it
    kshot: str = ""  # the oldest version that the project accepts (kshot.lifecycle.params_file.kshot_version)

    def __post_init__(self) -> None:
        project_name.checked(self.project)
        self._check_classifier()
        if self.episodes.protocols != AUTO:
            known, floors = [*self.episodes.protocols, AUTO], self.gate.min_accuracy
            allowed = ", ".join(known)
            name = self.train.validation.protocol
            need(name in known, f"train.validation.protocol is {name!r}; needs one of {allowed}")
            for name in floors if isinstance(floors, dict) else ():
                need(name in known[:-1], f"gate.min_accuracy names {name!r}; needs one of {allowed}")
            name = self.gate.group_protocol
            need(name in known, f"gate.group_protocol is {name!r}; needs one of {allowed}")

    @property
    def is_resolved(self) -> bool:
        """Whether no setting is `auto` that the classes of a data version decide."""
        return self.has_fixed_episodes and self.train.batch.classes != AUTO

    @property
    def has_fixed_episodes(self) -> bool:
        """Whether no setting about episodes is `auto`."""
        episodes, gate = self.episodes, self.gate
        return AUTO not in (
            episodes.n_query,
            episodes.protocols,
            self.train.validation.protocol,
            gate.min_accuracy,
            gate.group_protocol,
        )

    def _check_classifier(self) -> None:
        method, classifier = self.train.method.name, self.evaluate.classifier
        need(
            options_of(method).fixed_embedding or classifier == OWN,
            f"evaluate.classifier is {classifier}; {method} adapts the network to each episode and has no fixed "
            f"embedding for another classifier: set {OWN}",
        )
        views = self.evaluate.views
        need(
            views in (1, AUTO) or options_of(method).fixed_embedding,
            f"evaluate.views is {views}; {method} adapts the network to each episode and embeds nothing before: set 1",
        )
        n_way = self.train.method.n_way or self.train.batch.classes
        fixed = AUTO not in (n_way, self.episodes.protocols, self.train.validation.protocol)
        if method == "mann" and fixed and isinstance(n_way, int):
            # Validation in training uses the method's own scores, whatever the classifier.
            names = self.episodes.by_name if classifier == OWN else [self.train.validation.protocol]
            for name in names:
                protocol = self.episodes.by_name[name]
                need(
                    protocol.n_way <= n_way,
                    f"episodes.protocols.{name}.n_way is {protocol.n_way}; mann knows {n_way} labels: at most "
                    f"{n_way} here, or raise train.method.n_way",
                )


def load_params(path: Path) -> Params:
    """Read and check `path`; from now on the plug-ins of its project are used.

    Raises ParamsError with the key, its value and the required value.
    """
    plugins.use_project(path.parent)
    return params_from(read_mapping(path))


def params_from(mapping: Mapping[str, Any]) -> Params:
    """Check the parsed content of a params.yaml. An error for missing keys contains the lines to add, if known."""
    try:
        return build(Params, migrate(mapping))
    except MissingKeys as error:
        error.block = tuple(_lines_to_add(error.keys, mapping))
        raise


def _lines_to_add(missing: Sequence[str], mapping: Mapping[str, Any]) -> Iterator[str]:
    """YAML for the missing keys that are in ADDED, under their sections."""
    section = ""
    for dotted, value in ADDED.items():
        if dotted in missing or dotted.partition(".")[0] in missing:
            name, _, key = dotted.partition(".")
            if not section:
                yield "a project of an older kshot lacks these lines of params.yaml:"
            if name != section:
                yield f"  {name}:"
            section = name
            # Groups used to be judged by the first protocol of min_accuracy, whose name is arbitrary.
            least = mapping.get("gate", {}).get("min_accuracy")
            if dotted == "gate.group_protocol" and isinstance(least, Mapping):
                value = next(iter(least), value)
            yield f"    {key}: {value}"
