"""Attestations of other decisions: against a champion, refused, by hand, and recorded in an older format."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from kshot.lifecycle.evidence import attestation, verify
from kshot.lifecycle.gate import decision_record, first_decisions, gate_rules, paired, stored_predictions
from kshot.lifecycle.registry import gate_decision, model_versions, promotion
from kshot.lifecycle.tracking import store
from kshot.params.sections.gate import Gate
from tests.lifecycle import audited_project
from tests.lifecycle.registered_versions import judgement


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "undo").mkdir()
    with audited_project.undone(made, tmp_path / "undo"):
        store.connect(made)
        yield made


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "evidence"


def lines(out: Path) -> dict[str, tuple[str, str]]:
    found = verify.checks(verify.Folder(out), verify.Given())
    return {name: (state, text) for name, state, text in found}


def decided(root: Path) -> tuple[gate_rules.Evidence, Gate, paired.Results]:
    """Evidence and rules of version 1's decision, and its predictions."""
    run = root / "mlruns/artifacts" / model_versions.find(root, "1").run_id / "artifacts"
    evidence, rules, _ = decision_record.from_json(json.loads((run / "decision.json").read_text()))
    return evidence, rules, paired.read_results(run / "evaluation")


def champion(root: Path, **tags: str) -> None:
    """Version 2 is another registration of version 1's run, with other tags, and champion."""
    ours = model_versions.find(root, "1")
    store.client().create_model_version("kshot", "nowhere", ours.run_id, tags={**ours.tags, **tags})
    gate_decision.record_decision(root, "2", judgement(True, "1"), "r")


def settle(
    root: Path,
    evidence: gate_rules.Evidence,
    rules: Gate,
    mine: paired.Results,
    theirs: paired.Results,
    answered: dict[str, dict[str, str]] | None = None,
) -> gate_rules.Decision:
    """Judge version 1 against champion 2, whose predictions are `theirs`."""
    found = paired.compared("2", gate_rules.CHAMPION, (), mine, theirs, rules.group_protocol)
    evidence = dataclasses.replace(evidence, champion="2", comparisons=(found,))
    decision = gate_rules.decide(evidence, rules)
    record: dict[str, Any] = decision_record.to_json(evidence, rules, decision)
    if answered:
        record["answered_anew"] = answered
    gate_decision.record_decision(root, "1", record, gate_rules.rules_hash(rules))
    return decision


def test_predictions_that_the_champion_made_for_the_comparison_travel_along(root: Path, out: Path) -> None:
    evidence, rules, mine = decided(root)
    champion(root, **{"kshot.data_version": "another"})
    theirs = paired.Results(
        mine.episodes.assign(accuracy=mine.episodes["accuracy"] * 0.9),
        mine.cells.assign(right=mine.cells["right"] // 2),
    )
    answered = stored_predictions.keep(store.client(), model_versions.find(root, "1").run_id, theirs)
    settle(root, evidence, rules, mine, theirs, {"2": answered})
    attestation.attest(root, "1", out)
    assert lines(out)["comparison"] == (
        verify.OK,
        "the differences to champion 2 follow from both models' predictions",
    )
    assert len(pd.read_csv(out / "compared/2/cells.csv")) == len(mine.cells)
    audited_project.flip(out / "compared/2/cells.parquet")
    assert lines(out)["comparison"] == (
        verify.FAILED,
        "compared/2/cells.parquet is not the table that decision.json names",
    )


def test_a_model_that_the_gate_refused_is_attested_with_the_rule_that_refused_it(root: Path, out: Path) -> None:
    evidence, rules, mine = decided(root)
    champion(root)
    strict = dataclasses.replace(rules, min_accuracy={"3w1s": 0.999})
    assert not settle(root, evidence, strict, mine, mine).promote
    attestation.attest(root, "1", out)
    state, text = lines(out)["decision"]
    assert state == verify.OK
    assert text.startswith("refused by the gate")
    assert "required 99.9 %" in (out / "card.md").read_text()


def test_predictions_that_are_gone_are_not_checked_and_the_rest_is(root: Path, out: Path) -> None:
    evidence, rules, mine = decided(root)
    champion(root, **{"kshot.data_version": "another"})
    settle(root, evidence, rules, mine, mine)
    attestation.attest(root, "1", out)
    found = lines(out)
    assert found["comparison"][0] == verify.OPEN
    assert "champion 2 cannot be checked" in found["comparison"][1]
    assert found["decision"][0] == verify.OK
    assert "decision (not checked)" in found["limits"][1]


def test_a_later_decision_by_a_person_is_part_of_the_chain(root: Path, out: Path) -> None:
    evidence, rules, mine = decided(root)
    champion(root)
    settle(root, evidence, dataclasses.replace(rules, min_accuracy={"3w1s": 0.999}), mine, mine)
    promotion.promote(root, "1", "the other one fails in the shop", by="Ada")
    attestation.attest(root, "1", out)
    state, text = lines(out)["decision"]
    assert state == verify.OK
    assert text.endswith("then promoted by hand by Ada: the other one fails in the shop")
    assert len((out / "events.jsonl").read_text().splitlines()) == 4


def test_a_decision_of_the_first_format_is_not_decided_again(root: Path, out: Path) -> None:
    _, _, mine = decided(root)
    evidence = {
        "accuracy": first_decisions.means(mine.episodes),
        "champion": "1",
        "difference": first_decisions.differences(mine.episodes, mine.episodes),
        "groups": [],
        "notes": [],
    }
    run = root / "mlruns/artifacts" / model_versions.find(root, "1").run_id / "artifacts"
    groups = first_decisions.read_groups(run / "evaluation/groups.csv")
    for name, one in first_decisions.groups(groups, groups, "3w1s").items():
        evidence["groups"].append({"group": name, "champion": one[0], "challenger": one[1]})
    rules = {
        "min_accuracy": {"3w1s": 0.0},
        "non_inferiority_margin": 0.005,
        "max_group_drop": 0.05,
        "approval": "automatic",
    }
    promote, reasons = first_decisions.decided(evidence, rules, "3w1s")
    record = {"evidence": evidence, "rules": rules, "decision": {"promote": promote, "reasons": reasons}}
    gate_decision.record_decision(root, "1", record, gate_rules.rules_digest(rules))
    attestation.attest(root, "1", out)
    assert lines(out)["decision"] == (
        verify.OPEN,
        "decision.json is of format 1, whose rules this verify.py does not know",
    )
