"""The state of a project and suggested next commands, read from its files only: no server and no network.

The registry is read directly from MLflow's database (tables of mlflow 3.17.2: registered_model_aliases,
model_version_tags), because importing MLflow alone takes longer than the command may take.
"""

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from kshot.errors import KshotError
from kshot.lifecycle.data import working_copy
from kshot.lifecycle.pipeline import schedule
from kshot.lifecycle.project import layout, project_lock, state_place
from kshot.lifecycle.tracking import store
from kshot.lifecycle.tracking.own_database import read_only
from kshot.params import project_name

CHAMPION, CHALLENGER = "champion", "challenger"
SETTING = "gate."  # in the gate's reasons, prefix of the setting that refused
PATIENCE_S = 0.5  # timeout for a database that another process writes to


@dataclass(frozen=True)
class Standing:
    """`facts`: name and value; `steps`: the next command and its purpose, most likely first."""

    facts: tuple[tuple[str, str], ...]
    steps: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Registry:
    """Alias to version, and each version's tags; `trouble` if they could not be read."""

    aliases: dict[str, str]
    tags: dict[str, dict[str, str]]
    trouble: str = ""

    def waiting(self) -> list[str]:
        """The versions that wait for approval."""
        return [version for version, tags in self.tags.items() if tags.get("kshot.decision") == "waiting"]

    def refused(self) -> str:
        """The challenger and the reasons for which the gate refused it; '' if it was not refused."""
        version = self.aliases.get(CHALLENGER, "")
        tags = self.tags.get(version, {})
        if tags.get("kshot.decision") != "refused":
            return ""
        first, *others = tags.get("kshot.reasons", "").split(" | ")
        return f"version {version}: " + "; ".join([first, *(one for one in others if SETTING in one)])

    def data_versions(self) -> set[str]:
        """The data versions that a registered model was trained on."""
        return {tags.get("kshot.data_version", "") for tags in self.tags.values()}


def standing(root: Path) -> Standing:
    """The project's content, what is running, and the next step."""
    data, found = _data_version(root), registry(root)
    facts = [
        ("project", str(root)),
        ("data", f"version {data[:8]}" if data else "none yet"),
        ("models", _models(found)),
    ]
    if refused := found.refused():
        facts.append(("refused", refused))
    working = project_lock.holder(root, project_lock.LOCK)
    if working is not None:
        facts.append(("working", f"`{working.command}` (process {working.pid}) since {working.since}"))
    if (root / layout.FORGETTING).exists():
        facts.append(("forgetting", "not finished: run the same `kshot forget ... --yes` again"))
    stored = _schedule(root)
    serving = project_lock.holder(root, project_lock.SERVING)
    if stored is not None and stored.names():
        paused = f" ({', '.join(stored.paused)} paused)" if stored.paused else ""
        served = f"served by process {serving.pid}" if serving else "not served now"
        facts.append(("schedule", f"{', '.join(stored.names())}{paused}, {served}"))
    steps = _steps(data, found, is_working=working is not None)
    was = _elsewhere(root)
    if was is not None:
        facts.append(("schedule", f"of {was}, from where this project came"))
        steps.insert(0, ("kshot doctor --mend", "gives the records, schedule and planned runs their place here"))
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        steps.insert(0, ("git init", "then git add and git commit: a model's record names the commit of its code"))
    if stored is not None and set(stored.names()) - set(stored.paused) and serving is None:
        steps.append(("kshot schedule", "nothing starts by itself until it is served"))
    return Standing(tuple(facts), tuple(steps))


def registry(root: Path) -> Registry:
    """The aliases and tags of the project's registered model, from the project's database."""
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return Registry({}, {}, "at the server that MLFLOW_TRACKING_URI names; `kshot models` reads it")
    path, name = root / store.DATABASE, project_name.of(root)
    if not path.exists():
        return Registry({}, {})
    try:
        with read_only(path, PATIENCE_S) as database:
            aliases = database.execute(
                "select alias, version from registered_model_aliases where name = ?", (name,)
            ).fetchall()
            lines = database.execute(
                "select version, key, value from model_version_tags where name = ? order by version", (name,)
            ).fetchall()
    except sqlite3.Error as error:
        return Registry({}, {}, f"{store.DATABASE} cannot be read now ({error}); `kshot doctor` shows more")
    tags: dict[str, dict[str, str]] = {}
    for version, key, value in lines:
        tags.setdefault(str(version), {})[str(key)] = str(value or "")
    return Registry({str(alias): str(version) for alias, version in aliases}, tags)


def _models(found: Registry) -> str:
    if found.trouble:
        return found.trouble
    if not found.tags:
        return "none yet"
    parts = [f"{alias} is version {found.aliases[alias]}" for alias in (CHAMPION, CHALLENGER) if alias in found.aliases]
    parts += [f"version {version} waits for approval" for version in found.waiting()]
    return ", ".join([f"{len(found.tags)} registered", *parts])


def _steps(data: str, found: Registry, *, is_working: bool) -> list[tuple[str, str]]:
    steps: list[tuple[str, str]] = []
    if is_working:
        steps.append(("kshot ui", "watch it in the browser"))
    for version in found.waiting():
        steps.append(
            (f"kshot compare champion {version}", "what would change")
            if CHAMPION in found.aliases
            else (f"kshot audit --model {version}", "where it comes from")
        )
        steps.append((f"kshot approve {version}", f"or kshot reject {version} --reason ..."))
    if not data:
        steps.append(("kshot data add FOLDER", "your own images, one folder a class"))
        steps.append(("kshot retrain", "or the built-in letters: images, training and decision in one command"))
    elif not found.trouble and data not in found.data_versions():
        steps.append(("kshot retrain", f"no model is trained on data version {data[:8]} yet"))
    elif not steps:
        if found.refused():
            steps.append(
                ("kshot retrain", "after a change of params.yaml: the setting in brackets, or what is trained")
            )
        steps.append(("kshot plan", "whether a retraining would change anything"))
        if CHAMPION in found.aliases:
            steps.append(("kshot audit --model champion", "where the model in production comes from"))
            steps.append(("kshot drift FOLDER", "whether new images are like those of training"))
    return steps


def _data_version(root: Path) -> str:
    try:
        found = working_copy.tracked(root)
    except KshotError:
        return ""
    return found.md5 if found else ""


def _elsewhere(root: Path) -> Path | None:
    try:
        return state_place.elsewhere(root)
    except KshotError:
        return None


def _schedule(root: Path) -> schedule.Schedule | None:
    try:
        return None if state_place.elsewhere(root) else schedule.read(root)
    except KshotError:
        return None
