"""params.yaml as frozen dataclasses, one a section.

The file has the defaults, so the classes have none: unknown and missing keys are both errors. A protocol may omit
rarely used keys, so that protocols recorded by older versions stay readable.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from kshot import plugins
from kshot.classifiers import OWN
from kshot.errors import ParamsError
from kshot.params import project_name
from kshot.params.classifiers import CLASSIFIERS, plugin_classifier
from kshot.params.engine import Engine
from kshot.params.methods import options_of
from kshot.params.reader import MissingKeys, build, need, read_mapping
from kshot.params.renamed import migrate
from kshot.params.train import Train

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
class Ingest:
    """How images are prepared and packed. Settings recorded by older versions lack `fit` and `store`."""

    size: int
    channels: int
    invert: bool
    crop: Literal["none", "ink"]
    fit: Literal["crop", "pad", "squash"] = "squash"
    store: Literal["pixels", "jpeg"] = "pixels"

    def __post_init__(self) -> None:
        need(8 <= self.size <= 1024, f"ingest.size is {self.size}; needs 8 to 1024 pixels")
        need(self.channels in (1, 3), f"ingest.channels is {self.channels}; needs 1 (grey) or 3 (RGB)")


@dataclasses.dataclass(frozen=True)
class Split:
    """Which classes are for training, validation and test. Settings recorded by older versions lack `assign`."""

    by: Literal["auto", "table", "group", "class"]
    val: float
    test: float
    seed: int
    rotations: Literal["none", "train", "all"]
    assign: Literal["rank", "hash"] = "rank"

    def __post_init__(self) -> None:
        need(
            0 < self.val < 1 and 0 < self.test < 1 and self.val + self.test < 1,
            f"split.val is {self.val} and split.test {self.test}; each needs to lie between 0 and 1 "
            "and their sum below 1, so that classes are left to train on",
        )


@dataclasses.dataclass(frozen=True)
class Validate:
    max_unreadable_share: float
    min_side: int
    max_aspect_ratio: float

    def __post_init__(self) -> None:
        need(
            0 <= self.max_unreadable_share < 1,
            f"validate.max_unreadable_share is {self.max_unreadable_share}; needs to lie in [0, 1)",
        )
        need(self.min_side >= 1, f"validate.min_side is {self.min_side}; needs at least 1 pixel")
        need(self.max_aspect_ratio >= 1, f"validate.max_aspect_ratio is {self.max_aspect_ratio}; needs at least 1")


@dataclasses.dataclass(frozen=True)
class Protocol:
    """One kind of episode: n_way classes with k_shot support images each.

    within_group: all classes of an episode are from one group.
    by_drawer: the support is by one drawer and the queries are by another; if omitted, both are by many drawers.
    n_query: queries a class, if different from `episodes.n_query`.
    """

    n_way: int
    k_shot: int
    within_group: bool
    by_drawer: bool = False
    n_query: int | None = None

    def check(self, where: str) -> None:
        """Raise ParamsError for numbers that are too low; `where` is the dotted key of this protocol."""
        need(self.n_way >= 2, f"{where}.n_way is {self.n_way}; needs at least 2 classes to tell apart")
        need(self.k_shot >= 1, f"{where}.k_shot is {self.k_shot}; needs at least 1 support image a class")
        need(self.n_query is None or self.n_query >= 1, f"{where}.n_query is {self.n_query}; needs at least 1")


@dataclasses.dataclass(frozen=True)
class Episodes:
    """The test and validation episodes; `auto` is what the classes of a data version can fill.

    The stages replace `auto` (kshot.lifecycle.settings_fit.resolved) before they read `by_name` and `queries`.
    """

    seed: int
    n_episodes: int
    n_query: int | Literal["auto"]
    protocols: dict[str, Protocol] | Literal["auto"]

    def __post_init__(self) -> None:
        need(self.n_episodes >= 2, f"episodes.n_episodes is {self.n_episodes}; an interval needs at least 2")
        need(
            isinstance(self.n_query, str) or self.n_query >= 1,
            f"episodes.n_query is {self.n_query}; needs at least 1 query a class, or auto",
        )
        if isinstance(self.protocols, str):
            return
        need(bool(self.protocols), "episodes.protocols is empty; needs at least one, such as 5w1s, or auto")
        for name, protocol in self.protocols.items():
            protocol.check(f"episodes.protocols.{name}")
            need(
                name.replace("-", "").replace("_", "").isalnum() and name.isascii(),
                f"episodes.protocols has the name {name!r}; it becomes a file name: letters, digits, - and _ only",
            )

    @property
    def by_name(self) -> dict[str, Protocol]:
        """The protocols by name. Raises ParamsError for `auto`."""
        if isinstance(self.protocols, str):
            raise ParamsError("params.yaml: episodes.protocols is auto, and no data version says what that is")
        return self.protocols

    def queries(self, protocol: Protocol) -> int:
        """The number of queries a class in `protocol`. Raises ParamsError for `auto`."""
        return self.common_queries if protocol.n_query is None else protocol.n_query

    @property
    def common_queries(self) -> int:
        """The number of queries a class of protocols without their own. Raises ParamsError for `auto`."""
        if isinstance(self.n_query, str):
            raise ParamsError("params.yaml: episodes.n_query is auto, and no data version says what that is")
        return self.n_query


@dataclasses.dataclass(frozen=True)
class Embed:
    """How the features of a frozen backbone are computed."""

    batch_size: int
    precision: Literal["bf16", "float32"]

    def __post_init__(self) -> None:
        need(self.batch_size >= 1, f"embed.batch_size is {self.batch_size}; needs at least 1 image")


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


@dataclasses.dataclass(frozen=True)
class Gate:
    """The rules of a promotion; with `auto`, by the protocol with the fewest classes that a data version can fill."""

    min_accuracy: dict[str, float] | Literal["auto"]
    group_protocol: str
    non_inferiority_margin: float
    significantly_worse: Literal["refuse", "allow"]
    reference: str | int
    max_group_drop: float
    max_class_drop: float
    approval: Literal["automatic", "manual", "signed"]
    approval_timeout: float
    gallery_margin: float | None = None  # None: galleries are not compared
    gallery_loss: Literal["wait", "refuse"] = "wait"

    def __post_init__(self) -> None:
        need(bool(self.min_accuracy), "gate.min_accuracy is empty; needs at least one protocol, such as 5w1s: 0.8")
        for name, value in self.min_accuracy.items() if isinstance(self.min_accuracy, dict) else ():
            need(0 <= value <= 1, f"gate.min_accuracy.{name} is {value}; needs to lie in [0, 1]")
        for key in ("non_inferiority_margin", "max_group_drop", "max_class_drop"):
            value = getattr(self, key)
            need(0 <= value <= 1, f"gate.{key} is {value}; needs to lie in [0, 1]")
        margin = self.gallery_margin
        need(margin is None or 0 <= margin <= 1, f"gate.gallery_margin is {margin}; needs to lie in [0, 1], or null")
        wanted = self.reference
        need(
            wanted == "best" or (isinstance(wanted, int) and wanted >= 1),
            f"gate.reference is {wanted!r}; needs best, or the number of a version",
        )
        hours = self.approval_timeout
        need(0 < hours <= 8784, f"gate.approval_timeout is {hours}; needs more than 0 hours and at most a year, 8784")

    @property
    def floors(self) -> dict[str, float]:
        """The minimum accuracy by protocol. Raises ParamsError for `auto`."""
        if isinstance(self.min_accuracy, str):
            raise ParamsError("params.yaml: gate.min_accuracy is auto, and no data version says what that is")
        return self.min_accuracy


@dataclasses.dataclass(frozen=True)
class Record:
    """`code`: patterns of the uncommitted files that a run stores; they match the end of a path or all of it."""

    code: tuple[str, ...]

    def __post_init__(self) -> None:
        need(bool(self.code), "record.code is empty; needs at least '*.py', or no model could be built again")


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
        if method == "mann" and self.episodes.protocols != AUTO and self.train.validation.protocol != AUTO:
            n_way = self.train.method.n_way or self.train.batch.classes
            # Validation in training uses the method's own scores, whatever the classifier.
            asked = self.episodes.by_name if classifier == OWN else [self.train.validation.protocol]
            for name in asked:
                protocol = self.episodes.by_name[name]
                need(
                    protocol.n_way <= n_way,
                    f"episodes.protocols.{name}.n_way is {protocol.n_way}; mann knows {n_way} labels: at most "
                    f"{n_way} here, or raise train.method.n_way",
                )


def recorded_ingest(settings: Mapping[str, Any]) -> Ingest:
    """How a model's images were prepared, from the settings saved with it.

    Settings from before `ingest.crop` existed do not have it: nothing was cropped.
    """
    return Ingest(**{"crop": "none", **settings["ingest"]})


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
