"""`change_plan.yaml`: what may change in a retraining, compared with the champion, without a person's approval.

settings:                                   # of params.yaml, by dotted name or pattern
  train.steps: {from: 1000, to: 20000}      # a range, both ends included; one end is enough
  evaluate.views: [1, 2]                    # any of these
  train.optimizer.*: any
data:
  sources: [glyphs, birds-*]                # of a new data version: the last part of the path that was added
gate:                                       # rules of the gate, likewise
  max_group_drop: {to: 0.05}

What it does not name may not change. Only the file as committed counts. One that allows more than the plan before it
counts once a person has approved a version that was judged by it: until then, a change must lie within both.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from kshot.errors import ParamsError
from kshot.lifecycle.project import git
from kshot.load_yaml import load_yaml, no_mapping, yaml_problem

FILE = "change_plan.yaml"
ANY = "any"
NAMED = 5  # changes outside the plan that the reasons name
SOURCE = "data source"  # name of the change of the data version's source
ELSEWHERE = " (at another address)"  # after the name of a source that the champion's data has from elsewhere
BEFORE = f"{FILE} as it was before"
NOTHING = None  # value of a setting that one of the two versions lacks


@dataclass(frozen=True)
class PlannedChange:
    """One difference between the champion and its challenger: a dotted setting, gate rule or `SOURCE`."""

    name: str
    old: Any
    new: Any


@dataclass(frozen=True)
class ChangePlan:
    """allowed: dotted pattern to `any`, a list of values, or a mapping with `from`, `to`; `sources`: patterns."""

    text: str
    allowed: Mapping[str, Any]
    sources: tuple[str, ...]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def committed(root: Path) -> ChangePlan | None:
    """The plan of the checked-out commit, None if it has none or there is no repository.

    Raises ParamsError for a malformed one, and if the file is here and git cannot say whether it is committed.
    """
    try:
        content = git.run(root, "show", f"HEAD:./{FILE}")
    except git.GitFailed as error:
        none = isinstance(error, git.NoRepository) or "'HEAD'" in error.reason
        if none or not (root / FILE).exists():
            return None
        raise ParamsError(f"{FILE} is here, and git does not say whether it is committed: {error}") from error
    try:
        return parse(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ParamsError(f"{FILE} is no text: {error}; needs YAML in UTF-8") from error


def parse(text: str) -> ChangePlan:
    """Parse the content of the file. Raises ParamsError that names the entry that is wrong."""
    try:
        found = load_yaml(text)
    except yaml.YAMLError as error:
        raise ParamsError(f"{FILE} is not YAML: {yaml_problem(error)}; mend that line and commit") from error
    _need(isinstance(found, dict), f"{no_mapping(found)}; needs the sections settings, data, gate")
    unknown = sorted(map(str, found.keys() - {"settings", "data", "gate"}))
    _need(not unknown, f"has the section {', '.join(unknown)}; needs settings, data, gate")
    sections = {name: {} if found.get(name) is None else found[name] for name in ("settings", "data", "gate")}
    for name, section in sections.items():
        _need(isinstance(section, dict), f"{name} {no_mapping(section)}; needs names with what they may be")
    for name, limits in sections["settings"].items():
        _check(f"settings.{name}", name, limits)
    for name, limits in sections["gate"].items():
        _check(f"gate.{name}", name, limits)
    other = sorted(map(str, sections["data"].keys() - {"sources"}))
    _need(not other, f"data has {', '.join(other)}; needs only sources")
    sources = sections["data"].get("sources", [])
    right = isinstance(sources, list) and all(isinstance(one, str) for one in sources)
    _need(right, f"data.sources is {sources!r}; needs a list of names or patterns")
    gate = {f"gate.{name}": limits for name, limits in sections["gate"].items()}
    return ChangePlan(text, {**sections["settings"], **gate}, tuple(sources))


# What the removed file of a project allows: everything. Until a person approves, the plan before it counts.
REMOVED = "settings: {'*': any}\ndata: {sources: ['*']}\ngate: {'*': any}\n"


def outside(plan: ChangePlan, changes: Sequence[PlannedChange], before: ChangePlan | None = None) -> list[str]:
    """A sentence for each change that the plan, or the one in force before it, does not allow, in their order."""
    found = [(change, _outside(plan, change, FILE)) for change in changes]
    if before is not None:
        found = [(change, said or _outside(before, change, BEFORE)) for change, said in found]
    return [said for _, said in found if said]


def _outside(plan: ChangePlan, change: PlannedChange, name: str) -> str:
    if change.name == SOURCE:
        limits: list[Any] = [f"{SOURCE}s {', '.join(plan.sources)}"] if plan.sources else []
        # A pattern of names means no other address, except the one that allows everything.
        is_elsewhere = str(change.new).endswith(ELSEWHERE)
        fits = any(
            fnmatchcase(str(change.new), pattern)
            for pattern in plan.sources
            if not is_elsewhere or pattern == "*" or pattern.endswith(ELSEWHERE)
        )
    else:
        # A pattern of settings, such as `*`, means no rule of the gate.
        of_gate = change.name.startswith("gate.")
        patterns = [one for one in plan.allowed if one.startswith("gate.") == of_gate]
        limits = [plan.allowed[one] for one in patterns if fnmatchcase(change.name, one)]
        fits = any(_allows(one, change.new) for one in limits)
    if fits:
        return ""
    allowed = f"it allows {' or '.join(map(_limits_text, limits))}" if limits else "it does not name it"
    return f"{change.name} {_value(change.old)} -> {_value(change.new)} lies outside {name}: {allowed}"


def in_brief(sentences: Sequence[str]) -> list[str]:
    """The first sentences, and how many more there are: an event stores only a few reasons."""
    more = len(sentences) - NAMED
    return [*sentences[:NAMED], *([f"and {more} more changes lie outside {FILE}"] if more > 0 else [])]


def to_json(plan: ChangePlan, changes: Sequence[PlannedChange], before: ChangePlan | None) -> dict[str, Any]:
    """The part of a decision's record about the plan: its text and hash, the changes, and those outside it.

    `before`: the plan in force before, which the record has if it is another one.
    """
    is_other = before is not None and before.text != plan.text
    return {
        "sha256": plan.sha256,
        "text": plan.text,
        "before": {"sha256": before.sha256, "text": before.text} if before is not None and is_other else None,
        "changes": [asdict(change) for change in changes],
        "outside": outside(plan, changes, before),
    }


def _allows(limits: Any, value: Any) -> bool:
    if limits == ANY:
        return True
    if isinstance(limits, list):
        return any(type(one) is type(value) and one == value for one in limits) or (
            _is_number(value) and any(_is_number(one) and one == value for one in limits)
        )
    if not _is_number(value):
        return False
    return bool(limits.get("from", value) <= value <= limits.get("to", value))


def _check(where: str, name: Any, limits: Any) -> None:
    _need(isinstance(name, str), f"{where} is no name of a setting")
    if limits == ANY or isinstance(limits, list):
        return
    is_range = isinstance(limits, dict) and bool(limits) and limits.keys() <= {"from", "to"}
    right = is_range and all(map(_is_number, limits.values()))
    _need(right, f"{where} is {limits!r}; needs any, a list of values, or {{from: NUMBER, to: NUMBER}}")
    low, high = limits.get("from"), limits.get("to")
    _need(low is None or high is None or low <= high, f"{where} goes from {low} to {high}; needs from <= to")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _limits_text(limits: Any) -> str:
    if isinstance(limits, dict):
        ends = [f"{word} {limits[word]}" for word in ("from", "to") if word in limits]
        return " ".join(ends)
    return ", ".join(map(_value, limits)) if isinstance(limits, list) else str(limits)


def _value(value: Any) -> str:
    return "nothing" if value is NOTHING else str(value)


def _need(condition: bool, message: str) -> None:
    if not condition:
        raise ParamsError(f"{FILE} {message}; mend it and commit")
