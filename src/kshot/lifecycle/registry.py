"""The registry: one version a result, aliases that say which one serves, and the decision kept with each."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kshot.errors import RegistryError
from kshot.lifecycle import layout, store
from kshot.lifecycle.files import exclusive
from kshot.lifecycle.lineage import Lineage

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

NAME = "kshot"
CHAMPION, CHALLENGER = "champion", "challenger"
RULES = "kshot.rules_hash"  # on a version: its decision by these rules is carried out


@dataclass(frozen=True)
class Registered:
    """One version of the model; `is_new` where this call made it."""

    version: str
    run_id: str
    tags: dict[str, str]
    is_new: bool = False


def find_registered(root: Path, lineage: Lineage) -> Registered | None:
    """The version that already holds the results of `lineage`, None without one."""
    with store.told(store.connect(root)):
        found = store.client().search_model_versions(f"name='{NAME}' and tag.`kshot.lineage`='{lineage.key}'")
    return _registered(min(found, key=lambda one: int(one.version))) if found else None


def register(root: Path, run_id: str, lineage: Lineage) -> Registered:
    """Register the model of the run, once for each lineage however often and by however many it is asked."""
    where = store.connect(root)
    with store.told(where), exclusive(root, "registry"):
        found = find_registered(root, lineage)
        if found is not None:
            return found
        from kshot.lifecycle import serving

        address = serving.log_model(root, root / layout.MODEL, run_id)
        client = store.client()
        if not client.search_registered_models(f"name='{NAME}'"):
            client.create_registered_model(NAME)
        # The tags are written together with the version: one without its lineage would never be found again.
        model_id = address.removeprefix("models:/") if address.startswith("models:/m-") else None
        version = client.create_model_version(NAME, address, run_id, tags=lineage.tags(), model_id=model_id)
        return _registered(version, is_new=True)


def champion(root: Path) -> Registered | None:
    """The version that serves, None where none was ever promoted."""
    with store.told(store.connect(root)):
        return _by_alias(CHAMPION)


def settle(root: Path, version: str, record: dict[str, Any], rules_hash: str) -> None:
    """Keep a decision (`gate.to_json`) with its version and move the alias it asks for.

    The alias moves after everything about the decision but its rules are written, and those are what `is_settled` asks
    for: a crash in between leaves the old champion or the new one, and settling again finishes what is missing.
    The champion that is refused under new rules stays champion: only a better model takes its place.
    """
    promote = bool(record["decision"]["promote"])
    with store.told(store.connect(root)), exclusive(root, "registry"):
        client, before = store.client(), _by_alias(CHAMPION)
        held = client.get_model_version(NAME, version)
        assert held.run_id is not None
        tags = {
            RULES: "",
            "kshot.decision": "promoted" if promote else "refused",
            "kshot.reasons": " | ".join(record["decision"]["reasons"])[: store.LONGEST_TAG],
            "kshot.compared_with": record["evidence"]["champion"] or "",
            "kshot.decided_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        for name, value in tags.items():
            client.set_model_version_tag(NAME, version, name, value)
        client.log_dict(held.run_id, record, "decision.json")
        if promote:
            _promote(client, version, before)
        elif before is None or before.version != version:
            client.set_registered_model_alias(NAME, CHALLENGER, version)
        client.set_model_version_tag(NAME, version, RULES, rules_hash)


def _promote(client: "MlflowClient", version: str, before: Registered | None) -> None:
    """Move the alias in one write: at no time is there no champion."""
    client.set_registered_model_alias(NAME, CHAMPION, version)
    if before is not None and before.version != version:
        client.set_model_version_tag(NAME, before.version, "kshot.replaced_by", version)
    challenger = _by_alias(CHALLENGER)
    if challenger is not None and challenger.version == version:
        client.delete_registered_model_alias(NAME, CHALLENGER)


def is_settled(found: Registered, now: Registered | None, rules_hash: str) -> bool:
    """Whether `found` bears a decision that stands: it is the champion `now`, or was refused by these rules beside it.

    A version that was champion once and was replaced is judged again against the one that replaced it.
    """
    decision = found.tags.get("kshot.decision")
    if decision == "promoted":
        return now is not None and now.version == found.version
    if decision == "refused" and found.tags.get(RULES) == rules_hash:
        return found.tags.get("kshot.compared_with", "") == (now.version if now else "")
    return False


def decision_of(found: Registered) -> tuple[bool, tuple[str, ...]]:
    """Whether the version was promoted, and the reasons kept with it."""
    reasons = found.tags.get("kshot.reasons", "")
    return found.tags.get("kshot.decision") == "promoted", tuple(reasons.split(" | ")) if reasons else ()


def model_files(root: Path, version: str, folder: Path) -> Path:
    """Bring the embedding of a version below `folder`; where it then lies. Raises RegistryError where it is gone."""
    import mlflow
    from mlflow.exceptions import MlflowException

    from kshot.lifecycle import serving

    where, address = store.connect(root), f"models:/{NAME}/{version}"
    with store.told(where):
        held = store.client().get_model_version(NAME, version)
    gone = f"the artifacts of version {version} (run {held.run_id}) are gone from {where}; bring them back from a copy"
    try:
        place = mlflow.artifacts.download_artifacts(artifact_uri=address, dst_path=str(folder))
    except (OSError, MlflowException) as error:
        raise RegistryError(gone) from error
    model = Path(place) / "artifacts" / serving.EMBEDDING
    if not model.is_dir():
        raise RegistryError(gone)  # MLflow downloads a folder that is not there as an empty one
    return model


def _by_alias(alias: str) -> Registered | None:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST, ErrorCode

    try:
        return _registered(store.client().get_model_version_by_alias(NAME, alias))
    except MlflowException as error:
        if error.error_code in (ErrorCode.Name(RESOURCE_DOES_NOT_EXIST), ErrorCode.Name(INVALID_PARAMETER_VALUE)):
            return None
        raise


def _registered(version: "ModelVersion", is_new: bool = False) -> Registered:
    return Registered(str(version.version), str(version.run_id), dict(version.tags), is_new)
