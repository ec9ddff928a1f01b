"""Predicts which stages a retraining would run now and why, from DVC's comparison, as text for people."""

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from kshot.first_few import first_few
from kshot.lifecycle.data import data_versions
from kshot.lifecycle.params_file import settings
from kshot.lifecycle.params_file.settings_change import differences, format_value
from kshot.lifecycle.pipeline import durations, graph
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages import code_read
from kshot.lifecycle.tracking import lineage
from kshot.params import reader, renamed
from kshot.params.schema import AUTO

Outlook = Literal["unchanged", "restored", "runs", "follows"]
MOST = 4  # files of one kind that are named


@dataclasses.dataclass(frozen=True)
class Step:
    """The predicted outcome of a stage. follows: it runs if an earlier stage's output differs from the last time.

    seconds: expected duration, None if it never ran here.
    """

    stage: str
    outlook: Outlook
    reasons: tuple[str, ...]
    seconds: float | None


def plan(root: Path) -> list[Step]:
    """One step per stage, in the order of the graph. Runs nothing and changes only the fingerprints of code."""
    steps: list[Step] = []
    moving: set[str] = set()  # stages whose outputs may change
    weights = settings.weights_change(root, reader.read_mapping(root / settings.PARAMS))
    for stage in graph.stages(root):
        with graph.loaded(root, stage.name) as found:
            other_weights = (str(weights),) if weights and _reads(found, weights.key) else ()
            reasons = (*_reasons(root, found), *other_weights)
            before = sorted(moving & set(stage.needs))
            if not reasons and before:
                step = Step(
                    stage.name, "follows", (f"after {', '.join(before)}",), durations.expected(root, stage.name)
                )
            elif not reasons:
                step = Step(stage.name, "unchanged", (), 0.0)
            elif not before and not other_weights and _is_kept(found):
                step = Step(stage.name, "restored", (*reasons, "the cache holds the results"), 0.0)
            else:
                step = Step(stage.name, "runs", reasons, durations.expected(root, stage.name))
        if step.outlook != "unchanged":
            moving.add(stage.name)
        steps.append(step)
    return steps


def data_reason(root: Path) -> str:
    """The data version to train on and the one used last time; '' if they are the same."""
    now, before = data_versions.current(root), lineage.ingested(root)
    if now is None:
        return "there is no data yet; `kshot data add SOURCE` brings your images, `kshot retrain` the built-in set"
    if not before or before == now.md5:
        return ""
    return (
        f"data version {before[:8]} -> {now.short}; `kshot data diff {before[:8]} {now.short}` says what came and went"
    )


def resolved_text(root: Path, steps: Sequence[Step]) -> str:
    """The values of `auto` for the classes of the last run, and whether they will be chosen again; '' without auto."""
    mapping = reader.read_mapping(root / settings.PARAMS)
    if AUTO not in (renamed.at(mapping, "episodes.n_query"), renamed.at(mapping, "episodes.protocols")):
        return ""
    if not (root / layout.RESOLVED).exists():
        return "episodes: auto, decided in stage episodes from the classes"
    found = json.loads((root / layout.RESOLVED).read_text(encoding="utf-8"))
    again = any(one.stage in ("ingest", "split", "episodes") and one.outlook != "unchanged" for one in steps)
    filled = f"{', '.join(found['protocols'])}; {found['n_query']} queries a class"
    return f"episodes: auto, {'last time ' if again else ''}{filled}{'; decided again' if again else ''}"


def _reasons(root: Path, stage: Any) -> tuple[str, ...]:
    """Why DVC would run the stage: params with both values, data, code, outputs; empty if it would not."""
    if not stage.changed():
        return ()
    if not any(dep.hash_info for dep in stage.deps):
        return ("it has not run here yet",)
    params: list[str] = []
    code: list[str] = []
    data: list[str] = []
    for dep in stage.deps:
        if not dep.status():
            continue
        name = str(dep.def_path)
        if name == code_read.place_of(stage.name).as_posix():
            code += [key for key, _ in differences(dep.hash_info.value, dep.read_params())]
        elif hasattr(dep, "read_params"):
            # From dvc.lock, because DVC's own reading leaves out params that the stage had by another name.
            recorded = lineage.recorded_params(root, stage.name, name)
            then, now = (renamed.migrate(renamed.nested(values)) for values in (recorded, dep.read_params()))
            params += [_change(key, *both) for key, both in differences(then, now)] or ["settings have other names"]
        else:
            (code if name.endswith(".py") else data).append(name)
    gone = [str(out.def_path) for out in stage.outs if out.status()]
    found = [*params, *_named("data", data), *_named("code", code, " changed")]
    if stage.changed_stage():
        found.append("its command or what dvc.yaml says of it changed")
    return tuple(found) if found else tuple(_named("missing or changed by hand:", gone))


def _reads(stage: Any, key: str) -> bool:
    """Whether dvc.yaml lists the param for the stage, itself or through its section."""
    named = {name for dep in stage.deps if hasattr(dep, "read_params") for name in dep.params}
    names = (key, renamed.OLD_OF.get(key, key))
    return any(one == name or one.startswith(f"{name}.") for name in named for one in names)


def _named(kind: str, names: list[str], what: str = "") -> list[str]:
    if not names:
        return []
    return [f"{kind} {first_few(names, MOST)}{what}"]


def _change(key: str, before: Any, after: Any) -> str:
    return f"{key}: {format_value(before)} -> {format_value(after)}"


def _is_kept(stage: Any) -> bool:
    """Whether DVC's run cache has the results of exactly these inputs."""
    from dvc.stage.cache import RunCacheNotFoundError

    if not all(dep.exists for dep in stage.deps):
        return False  # there is no data yet, or a file is missing
    if any(dep.status() for dep in stage.deps):
        # In memory only: the inputs as the files are now, without the outputs, which belong to the previous inputs.
        stage.save_deps(allow_missing=True)
        for out in stage.outs:
            out.clear()
    try:
        with contextlib.chdir(stage.repo.root_dir):  # DVC looks for dvc.yaml in the working directory
            stage.repo.stage_cache.restore(stage, dry=True)
    except RunCacheNotFoundError:
        return False
    return True
