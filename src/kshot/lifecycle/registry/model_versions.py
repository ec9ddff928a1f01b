"""The registered versions of the project's model: found by number, alias or state, each with its tags."""

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kshot.errors import RegistryError
from kshot.lifecycle.history import history, history_run
from kshot.lifecycle.history.events import (
    CHAMPION,
    WAITING,
)
from kshot.lifecycle.tracking import store
from kshot.lifecycle.tracking.lineage import UNRECORDED
from kshot.params import project_name

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

RULES = "kshot.rules_hash"  # on a version: hash of the rules that it was judged by
PRUNED = "kshot.pruned"  # on a version whose model files `kshot prune` deleted: the time of the deletion


@dataclass(frozen=True)
class Registered:
    """One version of the model; `is_new` if this call registered it."""

    version: str
    run_id: str
    tags: dict[str, str]
    is_new: bool = False


def champion(root: Path) -> Registered | None:
    """The current champion, None if no version was ever promoted."""
    return with_alias(root, CHAMPION)


def with_alias(root: Path, alias: str) -> Registered | None:
    """The version that any alias of the registered model names, None if it names none."""
    with store.translated_errors(store.connect(root)):
        return _by_alias(root, alias)


def find(root: Path, name: str) -> Registered:
    """The version with that number or alias. Raises RegistryError that names the closest existing ones."""
    with store.translated_errors(store.connect(root)):
        client = store.client()
        aliases = history.standing(client, root)
        numbers = sorted(int(one.version) for one in client.search_model_versions(store.of_project(root)))
        if not numbers:
            require_any(client, root)
            raise RegistryError("no version of the model is left; `kshot retrain` makes and registers one")
        wanted = aliases.get(name, name)
        if wanted.isdecimal() and int(wanted) in numbers:
            return to_registered(client.get_model_version(project_name.of(root), str(int(wanted))))
    # MLflow gives no number twice.
    deleted = name.isdecimal() and 0 < int(name) < numbers[-1]
    lacking = f"version {name} was deleted in MLflow" if deleted else f"there is no version {name!r}"
    raise RegistryError(f"{lacking}; {_nearest(name, numbers, aliases)}: see `kshot models`")


def versions(root: Path) -> dict[str, Registered]:
    """Every registered version by its number."""
    with store.translated_errors(store.connect(root)):
        found = store.client().search_model_versions(store.of_project(root))
    return {str(one.version): to_registered(one) for one in found}


def require_any(client: "MlflowClient", root: Path) -> None:
    """Raise RegistryError if no model is registered; its message says so if one was and is gone."""
    if history_run.registered(client, root) is None:
        gone = history.read(client, root).trouble
        raise RegistryError(gone or "no model is registered yet; `kshot retrain` makes and registers one")


def waiting(client: "MlflowClient", root: Path) -> list[Registered]:
    """The versions whose promotion waits for a person."""
    found = client.search_model_versions(f"{store.of_project(root)} and tag.`kshot.decision`='{WAITING}'")
    return sorted((to_registered(one) for one in found), key=lambda one: int(one.version))


def named(champion: str) -> str:
    """Text for a champion; '' is none."""
    return f"champion {champion}" if champion else "no champion"


def decision_of(found: Registered) -> tuple[str, tuple[str, ...]]:
    """The decision recorded on the version, '' for none, and its reasons."""
    reasons = found.tags.get("kshot.reasons", "")
    return found.tags.get("kshot.decision", ""), tuple(reasons.split(" | ")) if reasons else ()


def require_recorded(version: Registered) -> None:
    """Raise RegistryError for a version without a commit, unless a person allowed it when it was trained."""
    if not version.tags.get("kshot.git_commit") and UNRECORDED not in version.tags:
        raise RegistryError(
            f"version {version.version} was trained where git could not say which code it was, so that nobody can tell "
            f"what made it; commit the code and train another, or `kshot promote {version.version} --allow-unrecorded`"
        )


def _nearest(name: str, numbers: list[int], aliases: dict[str, str]) -> str:
    if name.isdecimal():
        if len(numbers) == 1:
            return f"the only one is {numbers[0]}"
        near = sorted(numbers, key=lambda number: abs(number - int(name)))[:3]
        return f"the nearest are {', '.join(map(str, sorted(near)))}"
    close = difflib.get_close_matches(name, aliases, n=1, cutoff=0.4)
    if close:
        return f"did you mean {close[0]} (version {aliases[close[0]]})?"
    known = ", ".join(f"{alias} (version {version})" for alias, version in aliases.items())
    return f"there are versions {numbers[0]} to {numbers[-1]}" + (f" and {known}" if known else "")


def _by_alias(root: Path, alias: str) -> Registered | None:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST, ErrorCode

    try:
        return to_registered(store.client().get_model_version_by_alias(project_name.of(root), alias))
    except MlflowException as error:
        if error.error_code in (ErrorCode.Name(RESOURCE_DOES_NOT_EXIST), ErrorCode.Name(INVALID_PARAMETER_VALUE)):
            return None
        raise


def to_registered(version: "ModelVersion", is_new: bool = False) -> Registered:
    return Registered(str(version.version), str(version.run_id), dict(version.tags), is_new)
