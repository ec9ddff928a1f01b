"""The end of a retraining in a real registry: who is asked and notified, and that nobody is asked twice."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kshot.errors import RegistryError
from kshot.lifecycle.doctor import moved
from kshot.lifecycle.history import history
from kshot.lifecycle.pipeline.durations import StageTime, Times
from kshot.lifecycle.project import layout
from kshot.lifecycle.registry import gate_decision, model_versions, promotion
from kshot.lifecycle.retraining import steps as retraining
from kshot.lifecycle.retraining import summary
from kshot.lifecycle.retraining.outcome import Outcome, write_report
from kshot.lifecycle.serving import package
from kshot.lifecycle.tracking import live_run, store
from kshot.lifecycle.tracking.lineage import lineage
from tests.lifecycle import finished_project
from tests.lifecycle.finished_project import write_lock
from tests.lifecycle.small_model import small_model


@pytest.fixture(scope="module", autouse=True)
def without_code() -> Iterator[None]:
    """No model predicts here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(package, "log_model", small_model)
        yield


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one registered version of what its stages made, and manual approval."""
    root = finished_project.write(tmp_path_factory.mktemp("project"))
    finished_project.write_predictions(root, 200)  # two equal models of as many stay within the margin
    change(root, "approval: automatic", "approval: manual")
    (root / layout.RAW).mkdir(parents=True, exist_ok=True)
    (root / layout.RAW / "manifest.csv").write_text("path,class\n")
    register(root, 20)
    return root


@pytest.fixture
def root(template: Path, tmp_path: Path) -> Path:
    """The same for each test, its records moved along."""
    root = tmp_path / "project"
    shutil.copytree(template, root)
    moved.rewrite(root, (template / store.ARTIFACTS).resolve())
    return root


def register(root: Path, steps: int) -> model_versions.Registered:
    """The version of the stages as they stand after this many steps."""
    write_lock(root, steps=steps)
    with live_run.live_run(root) as live:
        return retraining.register(root, live, lineage(root))


def change(root: Path, old: str, new: str) -> None:
    """One line of params.yaml."""
    text = (root / "params.yaml").read_text(encoding="utf-8")
    assert old in text
    (root / "params.yaml").write_text(text.replace(old, new), encoding="utf-8")


def judge(root: Path, steps: int = 20) -> Outcome:
    return retraining.judge(root, register(root, steps), lineage(root))


def test_a_promotion_waits_says_so_and_is_not_asked_for_twice(root: Path) -> None:
    asked = judge(root)
    assert asked.decision == "waiting" and not asked.promoted and not asked.repeated
    words = f"waiting for approval until {asked.until}"
    told = said(root)
    assert re.search(r"champion +" + re.escape(f"{words}: 3w1s "), told)
    assert re.search(r"answer with +kshot approve 1, or kshot reject 1 --reason", told)
    assert re.search(r"time +1 min 15 s: train 1 min 1 s ", told)
    assert words in write_report(root, asked).read_text(encoding="utf-8")
    assert model_versions.find(root, "challenger").tags["kshot.approval"] == words
    again = judge(root)
    assert (again.repeated, again.decision, again.until) == (True, "waiting", asked.until)
    assert len(history.history(root)) == 1


def test_a_refusal_names_the_setting_and_how_it_is_judged_again(root: Path) -> None:
    change(root, "approval: manual", "approval: automatic")
    change(root, "3w1s: 0.5", "3w1s: 1.0")
    assert judge(root).decision == "refused"
    told = said(root)
    assert re.search(r"champion +no, .*: 3w1s .* < required 100 % \(gate\.min_accuracy\.3w1s\)", told)
    assert re.search(r"to change it +the settings in brackets stand in params\.yaml", told)


def said(root: Path) -> str:
    words = summary.closing_text(root, judge(root), Times((StageTime("train", "ran", 61.0, 61.0),), 75.0))
    assert all(len(line) <= 80 for line in words.splitlines())
    return " ".join(words.split())


def test_an_approved_version_is_the_champion_of_the_next_retraining(root: Path) -> None:
    judge(root)
    promotion.approve(root, "challenger", by="Ada")
    again = judge(root)
    assert again.promoted and again.repeated and again.answer.startswith("approved by Ada")
    assert re.search(r"champion +yes: approved by Ada", said(root))
    assert said(root).startswith(f"nothing changed: version {again.version} (run {again.run_id[:8]}) is the result ")


def test_a_rejected_version_stays_rejected_whatever_the_rules(root: Path) -> None:
    judge(root)
    promotion.reject(root, "1", "blurred", "Ada")
    change(root, "max_group_drop: 0.05", "max_group_drop: 0.5")
    again = judge(root)
    assert again.repeated and re.search(r"champion +no, it was rejected, .*: rejected by Ada.*blurred", said(root))


def test_what_nobody_answered_is_rejected_and_told_by_the_next_retraining(root: Path) -> None:
    change(root, "approval_timeout: 72", "approval_timeout: 0.0000001")
    assert judge(root).decision == "waiting"
    again = judge(root)
    assert again.decision == "expired" and again.repeated and history.aliases(root) == {}
    assert len(again.repairs) == 1 and again.repairs[0].startswith("version 1 is rejected: nobody answered until")
    assert judge(root).repairs == ()


def test_what_waits_is_decided_once_approval_is_automatic(root: Path) -> None:
    judge(root)
    change(root, "approval: manual", "approval: automatic")
    assert judge(root).promoted and history.aliases(root) == {"champion": "1"}


def test_evidence_against_a_replaced_champion_is_judged_again(root: Path) -> None:
    judge(root)
    promotion.approve(root, "1")
    assert judge(root, 21).decision == "waiting"
    register(root, 22)
    promotion.promote(root, "3", "needed now", "Ada")
    with pytest.raises(RegistryError, match="version 2 was compared with champion 1, and now there is champion 3"):
        promotion.approve(root, "2")
    again = judge(root, 21)
    assert again.decision == "waiting" and not again.repeated
    promotion.approve(root, "2")
    assert history.aliases(root) == {"champion": "2"}


def test_a_decision_of_another_machine_in_between_is_judged_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(root, "approval: manual", "approval: automatic")
    registered, origin, settle, seen = register(root, 20), lineage(root), gate_decision.record_decision, []

    def settle_after_another(*arguments: Any) -> Any:
        seen.append(arguments[1])
        if len(seen) == 1:  # another machine promotes the same version after this one gathered its evidence
            settle(*arguments)
        return settle(*arguments)

    monkeypatch.setattr(gate_decision, "record_decision", settle_after_another)
    outcome = retraining.judge(root, registered, origin)
    assert outcome.promoted and outcome.repeated and seen == ["1"]
    assert [event.action for event in history.history(root)] == ["promoted"]
