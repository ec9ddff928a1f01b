"""The registry: one version a result, aliases that say which one serves, and the decision kept with each."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kshot.lifecycle import layout, serving, store
from kshot.lifecycle.files import exclusive
from kshot.lifecycle.lineage import Lineage

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

NAME = "kshot"
CHAMPION, CHALLENGER = "champion", "challenger"
LONGEST_TAG = 5000  # characters that every MLflow store takes


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
        found = _client().search_model_versions(f"name='{NAME}' and tags.`kshot.lineage`='{lineage.key}'")
    return _registered(min(found, key=lambda one: int(one.version))) if found else None


def register(root: Path, run_id: str, lineage: Lineage) -> Registered:
    """Register the model of the run, once for each lineage however often and by however many it is asked."""
    where = store.connect(root)
    with store.told(where), exclusive(root, "registry"):
        found = find_registered(root, lineage)
        if found is not None:
            return found
        import mlflow

        uri = serving.log_model(root, root / layout.MODEL, run_id)
        version = mlflow.register_model(uri, NAME, tags=lineage.tags())
        return _registered(version, is_new=True)


def champion(root: Path) -> Registered | None:
    """The version that serves, None where none was ever promoted."""
    with store.told(store.connect(root)):
        return _by_alias(CHAMPION)


def settle(root: Path, version: str, record: dict[str, Any], rules_hash: str) -> None:
    """Keep a decision (`gate.to_json`) with its version and move the alias it asks for.

    The decision is written first and the alias last, and both may be repeated: a crash in between leaves the old
    champion, and settling again finishes the move.
    """
    promote = bool(record["decision"]["promote"])
    with store.told(store.connect(root)), exclusive(root, "registry"):
        client, before = _client(), _by_alias(CHAMPION)
        held = client.get_model_version(NAME, version)
        assert held.run_id is not None
        client.log_dict(held.run_id, record, "decision.json")
        tags = {
            "kshot.decision": "promoted" if promote else "refused",
            "kshot.reasons": " | ".join(record["decision"]["reasons"])[:LONGEST_TAG],
            "kshot.compared_with": record["evidence"]["champion"] or "",
            "kshot.rules_hash": rules_hash,
            "kshot.decided_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        for name, value in tags.items():
            client.set_model_version_tag(NAME, version, name, value)
        if not promote:
            client.set_registered_model_alias(NAME, CHALLENGER, version)
            return
        if before is not None and before.version != version:
            client.set_model_version_tag(NAME, before.version, "kshot.replaced_by", version)
        client.set_registered_model_alias(NAME, CHAMPION, version)
        challenger = _by_alias(CHALLENGER)
        if challenger is not None and challenger.version == version:
            client.delete_registered_model_alias(NAME, CHALLENGER)


def is_settled(found: Registered, now: Registered | None, rules_hash: str) -> bool:
    """Whether `found` bears a decision under these rules that the aliases carry out; `now` is the champion."""
    decision = found.tags.get("kshot.decision")
    if decision == "promoted":
        return now is not None and (now.version == found.version or "kshot.replaced_by" in found.tags)
    if decision == "refused" and found.tags.get("kshot.rules_hash") == rules_hash:
        return found.tags.get("kshot.compared_with", "") == (now.version if now else "")
    return False


def decision_of(root: Path, found: Registered) -> tuple[bool, tuple[str, ...]]:
    """Whether the version was promoted, and the reasons kept with it."""
    reasons = found.tags.get("kshot.reasons", "")
    return found.tags.get("kshot.decision") == "promoted", tuple(reasons.split(" | ")) if reasons else ()


def model_files(root: Path, version: str, folder: Path) -> Path:
    """Bring the embedding of a version below `folder`; where it then lies."""
    import mlflow

    with store.told(store.connect(root)):
        uri = f"models:/{NAME}/{version}"
        place = mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder))
    return Path(place) / "artifacts" / serving.EMBEDDING


def _by_alias(alias: str) -> Registered | None:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST, ErrorCode

    try:
        return _registered(_client().get_model_version_by_alias(NAME, alias))
    except MlflowException as error:
        if error.error_code in (ErrorCode.Name(RESOURCE_DOES_NOT_EXIST), ErrorCode.Name(INVALID_PARAMETER_VALUE)):
            return None
        raise


def _registered(version: "ModelVersion", is_new: bool = False) -> Registered:
    return Registered(str(version.version), str(version.run_id), dict(version.tags), is_new)


def _client() -> "MlflowClient":
    import mlflow

    return mlflow.MlflowClient()
