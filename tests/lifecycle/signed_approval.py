"""A champion of a real project that waited under gate.approval: signed, and that a person approved with a signature."""

import dataclasses
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kshot.lifecycle.gate import decision_record, gate_rules, paired
from kshot.lifecycle.history.events import Event
from kshot.lifecycle.registry import gate_decision, model_versions, promotion
from kshot.lifecycle.signatures.signing_key import SigningKey
from kshot.lifecycle.tracking import store
from tests.lifecycle.registered_versions import judgement
from tests.lifecycle.ssh_keys import commit_signers


@contextmanager
def head_undone(root: Path) -> Iterator[None]:
    """Put the branch and its index back after the block, and delete the file of signers that was committed."""
    command = ["git", "rev-parse", "HEAD"]
    before = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.strip()
    try:
        yield
    finally:
        subprocess.run(["git", "reset", "-q", before], cwd=root, check=True)
        (root / "allowed_signers").unlink(missing_ok=True)


def make(root: Path, key: Path, *signers: str) -> Event:
    """Judge version 1 of `audited_project` again, against a champion 2 of equal predictions, and approve it."""
    store.connect(root)
    commit_signers(root, *signers)
    ours = model_versions.find(root, "1")
    run = root / "mlruns/artifacts" / ours.run_id / "artifacts"
    evidence, rules, _ = decision_record.from_json(json.loads((run / "decision.json").read_text()))
    store.client().create_model_version("kshot", "nowhere", ours.run_id, tags=ours.tags)
    gate_decision.record_decision(root, "2", judgement(True, "1"), "r")
    mine = paired.read_results(run / "evaluation")
    rules = dataclasses.replace(rules, approval="signed")
    found = paired.compared("2", gate_rules.CHAMPION, (), mine, mine, rules.group_protocol)
    evidence = dataclasses.replace(evidence, champion="2", comparisons=(found,))
    record = decision_record.to_json(evidence, rules, gate_rules.decide(evidence, rules))
    soon = datetime.now(UTC) + timedelta(hours=1)
    waiting, _ = gate_decision.record_decision(root, "1", record, gate_rules.rules_hash(rules), soon)
    assert (waiting.action, waiting.approval) == ("waiting", "signed")
    return promotion.approve(root, "1", "as expected", "Ada", key=SigningKey(key))
