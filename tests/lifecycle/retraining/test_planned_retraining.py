"""A retraining outside the change plan, or that a gallery loses by, waits for a person; the audit finds the same."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest

from kshot.errors import ParamsError, RegistryError
from kshot.lifecycle.audit.decision.galleries_then import galleries_then
from kshot.lifecycle.audit.decision.planned import planned
from kshot.lifecycle.audit.subject import opened
from kshot.lifecycle.doctor import moved
from kshot.lifecycle.gate import gate_rules
from kshot.lifecycle.gate.gallery_evidence import GalleryEvidence
from kshot.lifecycle.history import history
from kshot.lifecycle.history.events import Event
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.broken import Broken
from kshot.lifecycle.registry import model_versions, promotion
from kshot.lifecycle.retraining import steps as retraining
from kshot.lifecycle.retraining.outcome import Outcome
from kshot.lifecycle.serving import package
from kshot.lifecycle.tracking import store
from kshot.lifecycle.tracking.lineage import lineage
from tests.lifecycle import finished_project
from tests.lifecycle.gate.test_gate_rules import EQUAL, LOST
from tests.lifecycle.retraining.test_steps import change, register
from tests.lifecycle.small_model import small_model
from tests.lifecycle.ssh_keys import IDENTITY

WIDE, NARROW = "settings: {train.optimizer.learning_rate: {to: 0.1}}\n", "settings: {}\n"


@pytest.fixture(scope="module", autouse=True)
def without_code() -> Iterator[None]:
    """No model predicts here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(package, "log_model", small_model)
        yield


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 is champion."""
    root = finished_project.write(tmp_path_factory.mktemp("project"))
    finished_project.write_predictions(root, 200)
    (root / layout.RAW).mkdir(parents=True, exist_ok=True)
    (root / layout.RAW / "manifest.csv").write_text("path,class\n")
    finished_project.commit(root)
    assert retraining.judge(root, register(root, 20), lineage(root)).promoted
    return root


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    """Version 2 was trained with another learning rate, and nobody has judged it.

    It is registered here and not in the template: MLflow remembers where the artifacts of a run's id are.
    """
    root = tmp_path / "project"
    shutil.copytree(template, root)
    moved.rewrite(root, (template / store.ARTIFACTS).resolve())
    change(root, "learning_rate: 0.001", "learning_rate: 0.01")
    register(root, 21)
    return root


def commit_plan(root: Path, text: str) -> None:
    (root / "change_plan.yaml").write_text(text)
    subprocess.run(["git", "add", "change_plan.yaml"], cwd=root, check=True)
    command = ["git", *IDENTITY, "commit", "-qm", "plan", "--", "change_plan.yaml"]
    subprocess.run(command, cwd=root, check=True)


def set_rate(root: Path, rate: str) -> None:
    text = (root / "params.yaml").read_text(encoding="utf-8")
    (root / "params.yaml").write_text(re.sub(r"( learning_rate:) \S+", rf"\1 {rate}", text), encoding="utf-8")


def judge(root: Path) -> Outcome:
    return retraining.judge(root, model_versions.find(root, "2"), lineage(root))


def recorded(event: Event) -> Any:
    assert event.proof is not None
    return json.loads(mlflow.artifacts.load_text(f"runs:/{event.proof.run_id}/{event.proof.file}"))


def audited(root: Path, scratch: Path) -> str:
    """What the audit says about the plan of the gate's last event about version 2. Raises Broken."""
    event = [one for one in history.history(root) if one.version == "2" and one.proof is not None][-1]
    text, whole = planned(opened(root, "2", scratch), event, recorded(event))
    assert whole
    return text


def test_without_a_plan_nothing_waits_and_nothing_is_recorded(root: Path) -> None:
    assert judge(root).promoted
    assert "change_plan" not in recorded(history.history(root)[-1])


def test_a_change_within_the_plan_is_promoted_with_its_hash_in_the_evidence(root: Path, tmp_path: Path) -> None:
    commit_plan(root, WIDE)
    assert judge(root).promoted
    part = recorded(history.history(root)[-1])["change_plan"]
    change = {"name": "train.optimizer.learning_rate", "old": 0.001, "new": 0.01}
    assert (part["text"], part["changes"], part["outside"]) == (WIDE, [change], [])
    assert f"; 1 change, none outside the change plan {part['sha256'][:8]}" in audited(root, tmp_path / "scratch")


def test_a_change_outside_waits_says_why_and_is_not_asked_for_twice(root: Path, tmp_path: Path) -> None:
    commit_plan(root, NARROW)
    asked = judge(root)
    said = "train.optimizer.learning_rate 0.001 -> 0.01 lies outside change_plan.yaml: it does not name it"
    assert (asked.decision, asked.reasons[0], asked.promoted) == ("waiting", said, False)
    assert history.history(root)[-1].why.startswith(f"{said} | ")
    assert history.aliases(root) == {"champion": "1", "challenger": "2"}
    assert judge(root).repeated and len(history.history(root)) == 2
    assert "; 1 change, 1 outside the change plan" in audited(root, tmp_path / "scratch")
    promotion.approve(root, "2", "tried in the field")
    assert history.aliases(root) == {"champion": "2"}
    assert judge(root).promoted


def test_an_uncommitted_setting_does_not_end_signed_approval(root: Path) -> None:
    change(root, "approval: automatic", "approval: signed")
    subprocess.run(["git", "add", "params.yaml"], cwd=root, check=True)
    subprocess.run(["git", *IDENTITY, "commit", "-qm", "signed", "--", "params.yaml"], cwd=root, check=True)
    change(root, "approval: signed", "approval: automatic")
    assert judge(root).decision == "waiting"
    assert recorded(history.history(root)[-1])["rules"]["approval"] == "signed"


def test_a_champion_by_hand_is_not_judged_against_itself(root: Path) -> None:
    commit_plan(root, NARROW)
    assert judge(root).decision == "waiting"
    store.client().set_registered_model_alias("kshot", "champion", "2")
    found = judge(root)
    assert found.repeated and "given to version 2 outside kshot" in found.repairs[-1]
    assert [event.action for event in history.history(root)][-1] == "moved outside kshot"
    judge(root)
    assert history.history(root)[-1].action == "moved outside kshot"
    promotion.promote(root, "2", "tried in the field")
    assert judge(root).promoted


def test_a_wider_plan_counts_once_a_person_has_approved_what_it_allows(root: Path, tmp_path: Path) -> None:
    commit_plan(root, NARROW)
    judge(root)
    commit_plan(root, WIDE)
    asked = judge(root)
    said = "0.001 -> 0.01 lies outside change_plan.yaml as it was before: it does not name it"
    assert asked.decision == "waiting" and asked.reasons[0].endswith(said)
    assert judge(root).repeated
    assert "1 outside the change plan" in audited(root, tmp_path / "scratch")
    promotion.approve(root, "2", "tried in the field")
    set_rate(root, "0.02")
    register(root, 22)
    assert retraining.judge(root, model_versions.find(root, "3"), lineage(root)).promoted


@pytest.mark.parametrize("text", [WIDE, None], ids=("widened", "removed"))
def test_the_gate_alone_brings_no_wider_plan_into_force(root: Path, text: str | None) -> None:
    """In two steps: a change that both plans allow is promoted, and the next one only the wider plan allows."""
    first = "settings: {train.optimizer.learning_rate: {to: 0.01}}\n"
    commit_plan(root, first)
    assert judge(root).promoted
    if text is not None:
        commit_plan(root, text)
    else:
        subprocess.run(["git", "rm", "-q", "change_plan.yaml"], cwd=root, check=True)
        subprocess.run(["git", *IDENTITY, "commit", "-qm", "no plan", "--", "change_plan.yaml"], cwd=root, check=True)
    for version, rate, decision in (("3", "0.009", "promoted"), ("4", "0.02", "waiting")):
        set_rate(root, rate)
        register(root, 20 + int(version))
        found = retraining.judge(root, model_versions.find(root, version), lineage(root))
        assert found.decision == decision, found.reasons


def test_without_the_alias_that_was_deleted_in_mlflow_a_person_decides(root: Path) -> None:
    """Without a champion nothing would have changed, and every version would be the first."""
    commit_plan(root, NARROW)
    store.client().delete_registered_model_alias("kshot", "champion")
    asked = judge(root)
    assert asked.decision == "waiting"
    assert asked.reasons[0].startswith("the alias champion was taken from version 1 outside kshot")
    assert judge(root).repeated and history.aliases(root) == {"challenger": "2"}
    promotion.approve(root, "2", "the one before is withdrawn")
    assert history.aliases(root) == {"champion": "2"}


def test_another_rule_of_the_gate_lies_outside_too(root: Path) -> None:
    commit_plan(root, WIDE)
    change(root, "max_group_drop: 0.05", "max_group_drop: 0.5")
    asked = judge(root)
    assert asked.decision == "waiting" and asked.reasons[0].startswith("gate.max_group_drop 0.05 -> 0.5 lies outside")


def test_a_rule_that_the_plan_names_may_change(root: Path) -> None:
    commit_plan(root, f"{WIDE}gate: {{max_group_drop: any}}\n")
    change(root, "max_group_drop: 0.05", "max_group_drop: 0.5")
    assert judge(root).promoted


def test_only_the_committed_plan_counts_and_a_malformed_one_stops_before_the_training(root: Path) -> None:
    commit_plan(root, NARROW)
    (root / "change_plan.yaml").write_text(WIDE)
    assert judge(root).decision == "waiting"
    commit_plan(root, "settings: {train.steps: 5}\n")
    with pytest.raises(ParamsError, match=r"change_plan.yaml settings.train.steps is 5; needs any"):
        retraining.ready_data(root)


def test_the_audit_finds_changes_that_the_record_leaves_out(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit_plan(root, NARROW)
    with monkeypatch.context() as patch:
        patch.setattr(retraining.planned_changes, "gather", lambda *_: ())
        assert judge(root).promoted  # as somebody would write it who can write to the database
    with pytest.raises(Broken, match="the changes recorded with event 2 .* differ from those of both runs"):
        audited(root, tmp_path / "scratch")


def by_galleries(root: Path, *galleries: GalleryEvidence) -> Outcome:
    """Judge version 2, with the galleries as the service's ring found them."""
    asked: list[tuple[str, str]] = []

    def compare(before: str, after: str) -> tuple[GalleryEvidence, ...]:
        asked.append((before, after))
        return galleries

    found = retraining.judge(root, model_versions.find(root, "2"), lineage(root), compare)
    assert asked == ([] if found.repeated else [("1", "2")])
    return found


@pytest.mark.parametrize(("loss", "decision"), [("wait", "waiting"), ("refuse", "refused")])
def test_a_gallery_that_loses_waits_or_is_refused_and_the_audit_decides_the_same(
    root: Path, loss: str, decision: str
) -> None:
    change(root, "gallery_margin: null", "gallery_margin: 0.05")
    change(root, "gallery_loss: wait", f"gallery_loss: {loss}")
    found = by_galleries(root, EQUAL, LOST)
    assert found.decision == decision and "shop -80.0 points" in found.reasons[0]
    assert by_galleries(root, EQUAL, LOST).repeated, "nothing changed: nobody is asked twice"
    (event,) = [one for one in history.history(root) if one.version == "2"]
    assert recorded(event)["evidence"]["galleries"][1]["counts"] == [[5, 5, 1, 20]]
    assert "2 galleries by the counts that were recorded" in galleries_then(event, recorded(event))
    if loss == "wait":
        promotion.approve(root, "2", "the shop will be taught again")
        assert history.aliases(root) == {"champion": "2"}


def test_a_gallery_that_loses_nothing_changes_no_decision(root: Path) -> None:
    change(root, "gallery_margin: null", "gallery_margin: 0.05")
    assert by_galleries(root, EQUAL).promoted


def test_a_promotion_in_spite_of_a_gallery_breaks_the_audit(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(root, "gallery_margin: null", "gallery_margin: 0.05")
    with monkeypatch.context() as patch:
        patch.setattr(gate_rules.Decision, "waits", False)
        assert by_galleries(root, LOST).promoted  # as somebody would write it who can write to the database
    with pytest.raises(Broken, match="although a gallery asks for a person"):
        galleries_then(history.history(root)[-1], recorded(history.history(root)[-1]))


def test_without_a_way_to_compare_galleries_nothing_is_decided(root: Path) -> None:
    change(root, "gallery_margin: null", "gallery_margin: 0.05")
    with pytest.raises(RegistryError, match="gate.gallery_margin is set"):
        judge(root)
    assert len(history.history(root)) == 1
