"""Registers a run's model as a version, once per lineage."""

import json
from pathlib import Path

from kshot.lifecycle.history import erasure_event, history, history_run
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import exclusive
from kshot.lifecycle.registry import lineage_claim
from kshot.lifecycle.registry.model_versions import PRUNED, Registered, to_registered
from kshot.lifecycle.serving import model_manifest
from kshot.lifecycle.tracking import store
from kshot.lifecycle.tracking.lineage import Lineage
from kshot.params import project_name

ACCURACY = "kshot.accuracy"  # on a version: protocol to mean, low and high, so that a list needs no run


def find_registered(root: Path, lineage: Lineage) -> Registered | None:
    """The version that already holds the results of `lineage`; None if there is none or its files were pruned."""
    with store.translated_errors(store.connect(root)):
        found = store.client().search_model_versions(
            f"{store.of_project(root)} and tag.`kshot.lineage`='{lineage.key}'"
        )
    whole = [one for one in found if PRUNED not in one.tags]
    return to_registered(min(whole, key=lambda one: int(one.version))) if whole else None


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
        # The lock above holds only for this folder; the claim holds on every machine.
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
        return to_registered(version, is_new=True)


def _accuracies(root: Path) -> str:
    scores = json.loads((root / layout.METRICS).read_text(encoding="utf-8"))["accuracy"]
    return json.dumps({name: [score["mean"], score["low"], score["high"]] for name, score in scores.items()})
