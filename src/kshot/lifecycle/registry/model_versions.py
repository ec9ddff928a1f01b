"""The registry: one version per result, aliases for champion and challenger, and each version's decision."""

import difflib
import hashlib
import json
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kshot.errors import RegistryError
from kshot.lifecycle.history import erasure_event, history, history_run
from kshot.lifecycle.history.erasure_event import manifest_now
from kshot.lifecycle.history.events import (
    CHALLENGER,
    CHAMPION,
    PROMOTED,
    REFUSED,
    SIGNED,
    WAITING,
    Event,
    EvidenceFile,
    person,
    with_champion,
)
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import exclusive
from kshot.lifecycle.registry import lineage_claim
from kshot.lifecycle.registry.recorded_manifest import recorded_manifest
from kshot.lifecycle.serving import model_manifest
from kshot.lifecycle.tracking import store
from kshot.lifecycle.tracking.lineage import UNRECORDED, Lineage
from kshot.params import project_name

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

GATE = "gate"  # who decides when no person does
RULES = "kshot.rules_hash"  # on a version: hash of the rules that it was judged by
PRUNED = "kshot.pruned"  # on a version whose model files `kshot prune` deleted: the time of the deletion
# Tags that a decision's file repeats about its version: the event names that file by its sha256, so that a run's tags
# and dvc.lock cannot be rewritten together either.
ABOUT = ("lineage", "data_version", "dvc_lock_hash", "episodes_hash")
ACCURACY = "kshot.accuracy"  # on a version: protocol to mean, low and high, so that a list needs no run


@dataclass(frozen=True)
class Registered:
    """One version of the model; `is_new` if this call registered it."""

    version: str
    run_id: str
    tags: dict[str, str]
    is_new: bool = False


def find_registered(root: Path, lineage: Lineage) -> Registered | None:
    """The version that already holds the results of `lineage`; None if there is none or its files were pruned."""
    with store.translated_errors(store.connect(root)):
        found = store.client().search_model_versions(
            f"{store.of_project(root)} and tag.`kshot.lineage`='{lineage.key}'"
        )
    whole = [one for one in found if PRUNED not in one.tags]
    return _registered(min(whole, key=lambda one: int(one.version))) if whole else None


def register(root: Path, run_id: str, lineage: Lineage) -> Registered:
    """Register the model of the run, once per lineage, no matter how often or by how many processes it is called."""
    where = store.connect(root)
    with store.translated_errors(where), exclusive(root, "registry"):
        history_run.regain(store.client(), root, where)
        found = find_registered(root, lineage)
        if found is not None:
            return found
        from kshot.lifecycle.serving import package

        tags = {**lineage.tags(), ACCURACY: _accuracies(root)}
        address, sealed = package.log_model(root, root / layout.MODEL, run_id, tags)
        client = store.client()
        model_id = address.removeprefix("models:/") if address.startswith("models:/m-") else None
        if history_run.registered(client, root) is None:
            history_run.begin(client, root, where)
        erasure_event.seal_earlier(client, root)
        # The lock above holds on this folder alone; the claim holds on every machine.
        record = history.read(client, root)
        claim = lineage_claim.take(
            client, record.run_id, lineage.key, lambda: find_registered(root, lineage) is not None
        )
        if claim is None:
            if model_id:
                client.delete_logged_model(model_id)
            found = find_registered(root, lineage)
            assert found is not None
            return found
        history_run.require_new_numbers(client, root, record.events)
        # The tags are written together with the version: a version without its lineage would never be found again.
        tags[model_manifest.TAG] = sealed
        version = client.create_model_version(project_name.of(root), address, run_id, tags=tags, model_id=model_id)
        lineage_claim.finish(client, record.run_id, claim, str(version.version))
        return _registered(version, is_new=True)


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
            return _registered(client.get_model_version(project_name.of(root), str(int(wanted))))
    raise RegistryError(f"there is no version {name!r}; {_nearest(name, numbers, aliases)}: see `kshot models`")


def versions(root: Path) -> dict[str, Registered]:
    """Every registered version by its number."""
    with store.translated_errors(store.connect(root)):
        found = store.client().search_model_versions(store.of_project(root))
    return {str(one.version): _registered(one) for one in found}


def require_any(client: "MlflowClient", root: Path) -> None:
    """Raise RegistryError if no model is registered; its message says so if one was and is gone."""
    if history_run.registered(client, root) is None:
        gone = history.read(client, root).trouble
        raise RegistryError(gone or "no model is registered yet; `kshot retrain` makes and registers one")


def waiting(client: "MlflowClient", root: Path) -> list[Registered]:
    """The versions whose promotion waits for a person."""
    found = client.search_model_versions(f"{store.of_project(root)} and tag.`kshot.decision`='{WAITING}'")
    return sorted((_registered(one) for one in found), key=lambda one: int(one.version))


def named(champion: str) -> str:
    """Text for a champion; '' is none."""
    return f"champion {champion}" if champion else "no champion"


def record_decision(
    root: Path, version: str, record: dict[str, Any], rules_hash: str, until: datetime | None = None
) -> tuple[Event, tuple[str, ...]]:
    """Record the gate's decision (`decision_record.to_json`) as an event and update the aliases.

    With `until`, a promotion waits for a person until that time. Returns the event and sentences about the repairs
    made first. The event is written before anything else: the next command finishes it if this one crashes.
    A champion that new rules refuse stays champion until a better model replaces it.
    Raises Overtaken if another version became champion since the evidence was gathered, or another decision came first.
    """
    promote = bool(record["decision"]["promote"])
    where = store.connect(root)
    with store.translated_errors(where), exclusive(root, "registry"):
        client = store.client()
        held = client.get_model_version(project_name.of(root), version)
        kept, said, _ = history.reconcile(client, root, where)
        champion, compared_with = kept.aliases.get(CHAMPION, ""), record["evidence"]["champion"] or ""
        if champion != compared_with:
            raise history.Overtaken(
                f"version {version} was compared with {named(compared_with)}, and now there is "
                f"{named(champion)}; run `kshot retrain` again: it trains nothing and judges again"
            )
        action = REFUSED if not promote else PROMOTED if until is None else WAITING
        about = {name: held.tags[f"kshot.{name}"] for name in ABOUT if f"kshot.{name}" in held.tags}
        after = with_champion(kept.aliases, version) if action == PROMOTED else dict(kept.aliases)
        if action != PROMOTED and champion != version:
            after[CHALLENGER] = version
        assert held.run_id is not None
        event = history.append(
            root,
            client,
            kept,
            action=action,
            version=version,
            after=after,
            who=person(GATE),
            why=" | ".join(record["decision"]["reasons"]),
            compared_with=compared_with,
            rules=rules_hash,
            until=until.isoformat(timespec="seconds") if action == WAITING and until else "",
            proof=_log_evidence(client, held.run_id, {**record, "about": about}),
            approval=SIGNED if record["rules"].get("approval") == SIGNED else "",
        )
    return event, said


def _log_evidence(client: "MlflowClient", run_id: str, record: dict[str, Any]) -> EvidenceFile:
    """Store the record in the run: the newest as decision.json, and each permanently under the hash of its content."""
    text = json.dumps(record, indent=2, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    file = f"decisions/{digest[:16]}.json"
    client.log_text(run_id, text, file)
    client.log_text(run_id, text, "decision.json")
    return EvidenceFile(run_id, file, digest)


def is_settled(found: Registered, now: Registered | None, rules_hash: str, manual: bool = False) -> bool:
    """Whether the decision on `found` still stands, with `now` as champion and these rules.

    The gate's decision stands for the same champion and the same rules; waiting stands while approval is `manual`
    (or `signed`: `manual` is true for both). A version that the gate replaced is judged again against its successor.
    A person's decision stands until a person takes it back: a model that was rejected or rolled back does not return
    by itself.
    """
    decision, champion = found.tags.get("kshot.decision"), now.version if now else ""
    if decision == "promoted":
        return champion == found.version
    if decision in ("rejected", "rolled back"):
        return True
    if decision == "replaced":
        return champion == found.tags.get("kshot.replaced_by")
    if decision in ("refused", "expired") or (decision == "waiting" and manual):
        return found.tags.get(RULES) == rules_hash and found.tags.get("kshot.compared_with", "") == champion
    return False


def decision_of(found: Registered) -> tuple[str, tuple[str, ...]]:
    """The decision recorded on the version, '' for none, and its reasons."""
    reasons = found.tags.get("kshot.reasons", "")
    return found.tags.get("kshot.decision", ""), tuple(reasons.split(" | ")) if reasons else ()


def model_files(root: Path, version: str, folder: Path) -> Path:
    """Download a version's model below `folder` and return the path of its embedding.

    Every file of the model is first checked against the manifest that the version was registered with. Raises
    RegistryError if the model is gone, and Altered if it is not as it was registered.
    """
    place = fetched(root, version, folder)
    where = store.connect(root)
    with store.translated_errors(where):
        client = store.client()
        held = client.get_model_version(project_name.of(root), version)
        events = history.read(client, root).events
    expected, _ = manifest_now(root, recorded_manifest(version, held.tags, events), events)
    model_manifest.require(place, version, expected)
    return place / "artifacts" / layout.EMBEDDING


def fetched(root: Path, version: str, folder: Path) -> Path:
    """Download the whole model of a version below `folder` for inspection, unchecked. Raises RegistryError."""
    import mlflow
    from mlflow.exceptions import MlflowException

    where, address = store.connect(root), f"models:/{project_name.of(root)}/{version}"
    with store.translated_errors(where):
        held = store.client().get_model_version(project_name.of(root), version)
    gone = f"the artifacts of version {version} (run {held.run_id}) are gone from {where}; bring them back from a copy"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        place = Path(mlflow.artifacts.download_artifacts(artifact_uri=address, dst_path=str(folder)))
    except (OSError, MlflowException) as error:
        raise RegistryError(gone) from error
    if not (place / "artifacts" / layout.EMBEDDING).is_dir():
        raise RegistryError(gone)  # MLflow downloads a missing folder as an empty one
    return place


def require_whole(root: Path, version: str) -> None:
    """Raise RegistryError if a version's model is gone or not as it was registered; does not import torch."""
    with tempfile.TemporaryDirectory() as scratch:
        model_files(root, version, Path(scratch))


def require_recorded(version: Registered) -> None:
    """Raise RegistryError for a version without a commit, unless a person allowed it when it was trained."""
    if not version.tags.get("kshot.git_commit") and UNRECORDED not in version.tags:
        raise RegistryError(
            f"version {version.version} was trained where git could not say which code it was, so that nobody can tell "
            f"what made it; commit the code and train another, or `kshot promote {version.version} --allow-unrecorded`"
        )


def _accuracies(root: Path) -> str:
    scores = json.loads((root / layout.METRICS).read_text(encoding="utf-8"))["accuracy"]
    return json.dumps({name: [score["mean"], score["low"], score["high"]] for name, score in scores.items()})


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
        return _registered(store.client().get_model_version_by_alias(project_name.of(root), alias))
    except MlflowException as error:
        if error.error_code in (ErrorCode.Name(RESOURCE_DOES_NOT_EXIST), ErrorCode.Name(INVALID_PARAMETER_VALUE)):
            return None
        raise


def _registered(version: "ModelVersion", is_new: bool = False) -> Registered:
    return Registered(str(version.version), str(version.run_id), dict(version.tags), is_new)
