"""The steps of a retraining around its stages: the data before them, the decision after them."""

import contextlib
import dataclasses
import importlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kshot.errors import DataError, RegistryError
from kshot.lifecycle.data import data_versions, working_copy
from kshot.lifecycle.data.changes import restore
from kshot.lifecycle.gate import (
    change_plan,
    decision_record,
    gate_rules,
    gate_text,
    planned_changes,
    stored_predictions,
)
from kshot.lifecycle.history import champions, decision_signature, events, history
from kshot.lifecycle.history.append_event import Overtaken
from kshot.lifecycle.pipeline import graph
from kshot.lifecycle.project import layout
from kshot.lifecycle.registry import catch_up, gate_decision, model_versions, registration
from kshot.lifecycle.registry.model_versions import Registered
from kshot.lifecycle.retraining.judged_galleries import CompareGalleries, galleries_of, waits_for_galleries
from kshot.lifecycle.retraining.outcome import Outcome, outcome_of
from kshot.lifecycle.settings_fit import proposal
from kshot.lifecycle.settings_fit.resolved import not_evaluated, resolved_here
from kshot.lifecycle.tracking import live_run, store
from kshot.lifecycle.tracking.lineage import Lineage
from kshot.params.reader import read_mapping
from kshot.params.schema import Params, load_params

TRIES = 3  # decisions of other machines between the evidence and the decision, before a person is asked to try again


def warm_up(root: Path) -> None:
    """Import the packages that a retraining needs first and open the project's own store, while another step waits.

    A store that cannot be opened is reported by the retraining itself, which records its failure in the right place.
    """
    for module in ("dvc.repo.index", "networkx", "scmrepo.git"):  # DVC, and its late imports
        importlib.import_module(module)

    if "MLFLOW_TRACKING_URI" not in os.environ:  # a server that does not respond would be waited for twice
        with contextlib.suppress(RegistryError):
            store.connect(root)


def ready_data(root: Path) -> data_versions.DataVersion:
    """Return the data version in data/raw, restored from the cache if the folder is missing.

    Raises DataError if there is none, and if data/raw differs from its version: the origin of a model trained on that
    data would be unknown. Raises NoWeights for photographs with the settings of the built-in letters, ParamsError for a
    malformed change plan, which would stop the decision after the training.
    """
    change_plan.committed(root)
    working_copy.mend(root)
    version = data_versions.current(root)
    if version is None:
        raise DataError(
            "there is no data yet; `kshot data add SOURCE` brings your images, `kshot data add glyphs` letters"
        )
    if not (root / layout.RAW).exists():
        restore.checkout(root, version)
    if not graph.is_current(root, layout.RAW_DVC.as_posix()) and not working_copy.stored_again(root):
        raise DataError(restore.difference(root, version))
    proposal.require_fitted(root, version)
    return version


def register(root: Path, live: live_run.LiveRun, origin: Lineage) -> Registered:
    """Return the version with the results of `origin`; if there is none, record the run and register a new one."""
    found = registration.find_registered(root, origin)
    if found is not None:
        return found
    run_id = live.record(origin, read_mapping(root / "params.yaml"))
    return registration.register(root, run_id, origin)


def judge(
    root: Path, version: Registered, origin: Lineage, compare_galleries: CompareGalleries | None = None
) -> Outcome:
    """Decide by the current rules whether `version` may be champion, and move the alias accordingly.

    A version that was judged by the same rules against the same champion keeps its decision, and so does one that a
    person decided about. With gate.approval manual or signed, changes outside the change plan, or a gallery that lost
    too much (gate.gallery_margin), a promotion waits for a person. If another machine decided meanwhile, the version is
    judged again against what stands then. `compare_galleries` is needed if gate.gallery_margin is set. Raises
    Overtaken if that happens `TRIES` times.
    """
    for _ in range(TRIES - 1):
        with contextlib.suppress(Overtaken):
            return _judge_once(root, version, origin, compare_galleries)
    return _judge_once(root, version, origin, compare_galleries)


def _judge_once(
    root: Path, version: Registered, origin: Lineage, compare_galleries: CompareGalleries | None
) -> Outcome:
    repairs = catch_up.catch_up(root)
    given = load_params(root / "params.yaml")
    params = resolved_here(root, given)
    if decision_signature.setting(root) == events.SIGNED:
        params = dataclasses.replace(params, gate=dataclasses.replace(params.gate, approval=events.SIGNED))
    champion, rules = model_versions.champion(root), gate_rules.rules_hash(params.gate)
    version = model_versions.find(root, version.version)  # read again after the repairs
    model_versions.require_recorded(version)
    if champions.was_given_outside(history.history(root), version.version):
        note = (
            f"the alias champion was given to version {version.version} outside kshot, and the gate does not judge it "
            f"against itself: kshot promote {version.version} or kshot rollback decides"
        )
        return outcome_of(version, origin, repeated=True, repairs=(*repairs, note))
    planned = _planned(root, version, champion, params)
    left = change_plan.in_brief(planned["outside"]) if planned else []
    if champion is None and (lost := champions.taken_outside(history.history(root))):
        left = [f"the alias champion was taken from version {lost} outside kshot: a person decides what follows", *left]
    manual = params.gate.approval != "automatic" or bool(left)
    # Another plan asks the person another question, and what they approve brings it into force.
    asks = bool(planned and planned["outside"]) and version.tags.get("kshot.decision") == "waiting"
    before = planned_changes.judged_by(root, version.version, history.history(root)) if asks else {}
    same_plan = not asks or (before.get("text"), before.get("outside")) == (planned["text"], planned["outside"])
    stays = manual or waits_for_galleries(root, version, params.gate)
    if same_plan and gate_decision.is_decided(version, champion, rules, stays):
        return outcome_of(version, origin, repeated=True, repairs=repairs)
    from kshot.lifecycle.gate import (
        evidence,  # here, because importing torch takes seconds and a repeated retraining does not need it
    )

    found, fresh = evidence.gather(root, champion, origin, params)
    galleries = galleries_of(version, champion, params.gate, compare_galleries)
    found = dataclasses.replace(found, notes=(*found.notes, *not_evaluated(given, params)), galleries=galleries)
    decision = gate_rules.decide(found, params.gate)
    record = decision_record.to_json(found, params.gate, decision)
    if planned:
        record["change_plan"] = planned
    record["decision"]["reasons"] = [*left, *record["decision"]["reasons"]]
    if fresh:
        with store.translated_errors(store.connect(root)):
            client = store.client()
            record["answered_anew"] = {
                name: stored_predictions.keep(client, version.run_id, results) for name, results in fresh.items()
            }
    waits = manual or decision.waits
    until = datetime.now(UTC) + timedelta(hours=params.gate.approval_timeout) if waits else None
    _, further = gate_decision.record_decision(
        root, version.version, record, rules, until if decision.promote else None
    )
    judged = outcome_of(
        model_versions.find(root, version.version), origin, repeated=False, repairs=(*repairs, *further)
    )
    return dataclasses.replace(judged, reasons=(*left, *gate_text.reasons(found, decision.findings)))


def _planned(root: Path, version: Registered, champion: Registered | None, params: Params) -> dict[str, Any]:
    """The part of the decision's record about the change plan, {} without one; without a champion nothing changed.

    Where the file was removed, the plan that was in force counts until a person approves.
    """
    plan, known = change_plan.committed(root), history.history(root)
    try:
        before = planned_changes.in_force(root, known)
    except RegistryError:
        if plan is not None:
            raise
        before = None  # a project without a plan continues although the record of an old decision is missing
    if plan is None and before is None:
        return {}
    if plan is None:
        plan = change_plan.parse(change_plan.REMOVED)
    changes: tuple[change_plan.PlannedChange, ...] = ()
    if champion is not None and champion.version != version.version:
        rules = gate_rules.rules_as_recorded(params.gate)
        changes = planned_changes.gather(root, version, champion, known, rules)
    return change_plan.to_json(plan, changes, before)
