"""Reads a sweep's file: a list of settings or a grid, each trial checked as `kshot retrain --set` would check it."""

import hashlib
import itertools
import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kshot import plugins
from kshot.errors import CheckpointError, ParamsError
from kshot.lifecycle.params_file import settings
from kshot.lifecycle.params_file.settings_change import Change, format_value
from kshot.lifecycle.project import progress
from kshot.lifecycle.tracking import installed
from kshot.load_yaml import load_yaml
from kshot.params.reader import parsed
from kshot.params.schema import Params, params_from

GRID, TRIALS = "grid", "trials"
MOST = 1000  # trials of one file
# Settings that the validation accuracy of a trial depends on, while its validation episodes stay the same.
VARIED = ("ingest.", "embed.", "train.", "evaluate.classifier", "evaluate.views")
EPISODES = ("split.", "episodes.")  # settings that change the validation episodes
SECTIONS = ("ingest", "split", "validate", "episodes", "embed", "train", "evaluate")  # part of a trial's identity
EXAMPLE = "grid: {train.loss.name: [prototypical, triplet], train.seed: [0, 1]}"


@dataclass(frozen=True)
class Trial:
    """One retraining of a sweep.

    number    from 1, in the file's order
    sets      its settings as arguments of --set: "train.seed=1"; () for params.yaml as it is
    params    the text of its params.yaml
    identity  a hash of params, commit, data version and the protocol of the choice: equal trials have equal results
    """

    number: int
    sets: tuple[str, ...]
    params: str
    identity: str

    @property
    def text(self) -> str:
        """Its settings on one line."""
        return ", ".join(self.sets) or "params.yaml as it is"

    @property
    def command(self) -> str:
        """The command that retrains with these settings."""
        return " ".join(["kshot retrain", *(f"--set {shlex.quote(one)}" for one in self.sets)])


def read(root: Path, file: Path, commit: str, data: str) -> tuple[Trial, ...]:
    """The trials of `file` at `commit` on the data version `data`, all of them checked.

    Raises ParamsError for a file without trials, two equal trials, and settings that params.yaml cannot have or that
    would change the validation episodes; CheckpointError for a checkpoint that is no file.
    """
    trials: list[Trial] = []
    wanted = list(combinations(file, parsed(file, EXAMPLE)))
    protocol, code = protocol_of(root), _installed_code(root)
    for number, mapping in enumerate(wanted, 1):
        progress.step(f"checking trial {number} of {len(wanted)}")
        sets = tuple(f"{key}={format_value(value)}" for key, value in mapping.items())
        try:
            text, changes = settings.plan(root, sets=sets)
            params = load_yaml(text)
            checked = params_from(params)
            _require_comparable(changes, checked)
            settings.require_checkpoint(root, checked, changes)
        except (CheckpointError, ParamsError) as error:
            raise type(error)(f"{file}, trial {number} ({', '.join(sets) or 'no settings'}): {error}") from None
        found = {name: params.get(name) for name in SECTIONS}
        content = json.dumps([commit, data, protocol, found, code], sort_keys=True)
        trials.append(Trial(number, sets, text, hashlib.sha256(content.encode()).hexdigest()[:16]))
    progress.clear()
    by_identity: dict[str, Trial] = {}
    for trial in trials:
        if (same := by_identity.setdefault(trial.identity, trial)) is not trial:
            raise ParamsError(
                f"{file}: trials {same.number} and {trial.number} are equal ({same.text}; {trial.text}); remove one"
            )
    return tuple(trials)


def protocol_of(root: Path) -> str:
    """The protocol that trials are compared on: train.validation.protocol of params.yaml, a name or auto."""
    return params_from(load_yaml(settings.plan(root)[0])).train.validation.protocol


def _installed_code(root: Path) -> list[str]:
    """The versions of kshot and of the installed plug-ins, whose code the commit of a project does not hold."""
    given = {plugin.given_by for kind in plugins.KINDS for plugin in plugins.of_kind(kind, root)}
    return [installed.package([]).version, *sorted(filter(None, given))]


def combinations(file: Path, content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The settings of each trial in the file's order, the grid first. Raises ParamsError."""
    unknown = [str(key) for key in content if key not in (GRID, TRIALS)]
    if unknown or not content:
        raise ParamsError(f"{file} holds {', '.join(unknown) or 'nothing'}; needs grid or trials, such as {EXAMPLE}")
    axes = _named(file, GRID, content.get(GRID, {}))
    for key, values in axes.items():
        if not isinstance(values, list) or not values:
            shown = format_value(values)
            raise ParamsError(f"{file}: {GRID} has {key}: {shown}; needs a list of values, such as [0, 1]")
    count = 1
    for values in axes.values():
        count *= len(values)
    listed = content.get(TRIALS, [])
    if not isinstance(listed, list):
        raise ParamsError(f"{file}: {TRIALS} holds {format_value(listed)}; needs a list, such as [{{train.seed: 1}}]")
    total = (count if axes else 0) + len(listed)
    if not 1 <= total <= MOST:
        what = "no trial" if not total else f"{total:,} trials"
        raise ParamsError(f"{file} holds {what}; needs 1 to {MOST:,}, such as {EXAMPLE}")
    if axes:
        yield from (dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values()))
    yield from (_named(file, TRIALS, one) for one in listed)


def _named(file: Path, where: str, mapping: Any) -> dict[str, Any]:
    if not isinstance(mapping, Mapping) or not all(isinstance(key, str) for key in mapping):
        shown = format_value(mapping)
        raise ParamsError(f"{file}: {where} holds {shown}; needs dotted names, such as {{train.seed: 1}}")
    return dict(mapping)


def _require_comparable(changes: list[Change], params: Params) -> None:
    """Raise ParamsError unless the trial predicts the same validation episodes, of classes that it never saw."""
    for one in changes:
        if one.key.startswith(EPISODES):
            raise ParamsError(
                f"{one.key} changes the validation episodes, and trials are compared on the same ones; "
                f"set it in params.yaml before the sweep"
            )
        if not one.key.startswith(VARIED):
            raise ParamsError(
                f"{one.key} does not change the validation accuracy; "
                f"a sweep varies {', '.join(name.rstrip('.') for name in VARIED)}"
            )
    if "val" in params.train.splits:
        raise ParamsError("train.splits has val, so that no class is left to choose on; needs train.splits=[train]")
