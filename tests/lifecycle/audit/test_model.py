"""Every planted fault is found and named by its link, without false accusations; an unchanged model passes."""

import dataclasses
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from kshot import cli
from kshot.errors import DataError
from kshot.lifecycle.audit import classes, model
from kshot.lifecycle.audit import text as words
from kshot.lifecycle.audit.link import Link
from kshot.lifecycle.data import working_copy
from kshot.lifecycle.gate import decision_record, first_decisions, gate_rules, paired, stored_predictions
from kshot.lifecycle.registry import gate_decision, model_versions, registration
from kshot.lifecycle.tracking import store
from kshot.statistics import Interval
from tests import imports_of
from tests.lifecycle import audited_project
from tests.lifecycle.audited_project import execute, flip
from tests.lifecycle.registered_versions import judgement


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Iterator[Path]:
    with audited_project.undone(made, tmp_path):
        yield made


def audit(root: Path, *, deep: bool = False) -> dict[str, Link]:
    return {link.name: link for link in model.audit_model(root, "1", deep=deep).links}


def broken(root: Path, *, deep: bool = False) -> dict[str, str]:
    return {name: link.says for name, link in audit(root, deep=deep).items() if not link.holds}


def run_id(root: Path) -> str:
    return model_versions.find(root, "1").run_id


def run_file(root: Path, name: str) -> Path:
    (found,) = (path for path in (root / "mlruns/artifacts").glob(f"{run_id(root)}/artifacts/{name}"))
    return found


def registered_file(root: Path, name: str) -> Path:
    store.connect(root)
    source = store.client().get_model_version("kshot", "1").source
    return (
        root / "mlruns/artifacts/models" / str(source).removeprefix("models:/") / "artifacts/artifacts/embedding" / name
    )


def image(root: Path) -> Path:
    """One image of the data version, in DVC's cache."""
    files = (path for path in sorted((root / ".dvc/cache/files/md5").rglob("*")) if path.is_file())
    return next(path for path in files if path.read_bytes().startswith(b"\x89PNG"))


def test_an_untouched_model_is_whole_by_size_and_by_content(made: Path) -> None:
    assert broken(made) == {} and broken(made, deep=True) == {}
    links = audit(made)
    assert list(links) == [
        *("model", "run", "record", "weights", "served", "data", "params", "code", "environment", "episodes"),
        *("accuracies", "decision", "tags", "history", "anchor"),
    ]
    assert (
        "plus uncommitted changes (stored): all" in links["code"].says
    )  # retrain changed params.yaml, which no commit has
    assert "145 files" in links["data"].says and "champion 20" in links["history"].says


def weights(root: Path) -> None:
    flip(registered_file(root, "embedding.safetensors"))


def data_is_gone(root: Path) -> None:
    image(root).unlink()


def data_has_another_size(root: Path) -> None:
    path = image(root)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"x")


def metric(root: Path) -> None:
    for table in ("metrics", "latest_metrics"):
        execute(root, f"update {table} set value = 0.999 where key = 'test/3w1s/accuracy'")


def another_metric(root: Path) -> None:
    execute(root, "update latest_metrics set value = value + 1e-9 where key = 'geometry/ratio'")


def accuracy_tag(root: Path) -> None:
    execute(
        root,
        "update model_version_tags set value = replace(value, '[0.', '[0.0') where key = ?",
        registration.ACCURACY,
    )


def params_of_another_run(root: Path) -> None:
    execute(root, "update params set value = '999' where key = 'train.steps' and run_uuid = ?", run_id(root))


def params_file_of_another_run(root: Path) -> None:
    params_of_another_run(root)
    path = run_file(root, "params.yaml")
    path.write_text(path.read_text().replace("steps: 20", "steps: 999"))


def deleted_run(root: Path) -> None:
    store.connect(root)
    store.client().delete_run(run_id(root))


def alias(root: Path) -> None:
    store.connect(root)
    store.client().delete_registered_model_alias("kshot", "champion")


def newest_decision(root: Path) -> None:
    path = run_file(root, "decision.json")
    path.write_text(path.read_text().replace('"promote": true', '"promote": false'))


def evidence(root: Path) -> None:
    path = run_file(root, "decisions/*.json")
    path.write_text(path.read_text().replace("3w1s", "5w2s"))


def event(root: Path) -> None:
    execute(root, "update params set value = replace(value, 'gate', 'Eve') where key = 'event.000001'")


def answers(root: Path) -> None:
    path = run_file(root, "evaluation/episodes.parquet")
    pd.read_parquet(path).assign(accuracy=1.0).to_parquet(path)


def patch(root: Path) -> None:
    run_file(root, "uncommitted.diff").unlink()


def lock(root: Path) -> None:
    path = run_file(root, "dvc.lock")
    path.write_text(path.read_text().replace("nfiles: 145", "nfiles: 144"))


def environment(root: Path) -> None:
    path = run_file(root, "environment.json")
    kept = json.loads(path.read_text())
    kept["packages"]["torch"] = "1.0"
    path.write_text(json.dumps(kept))


FROM_LOCK = {"run", "weights", "data", "params", "code", "episodes", "accuracies", "decision"}


@pytest.mark.parametrize(
    ("plant", "links", "told"),
    [
        (weights, {"weights", "served"}, "embedding.safetensors of the registered model is not what was trained"),
        (data_is_gone, {"data"}, "neither in DVC's cache nor in a remote (none is set up); data/raw still has it"),
        (data_has_another_size, {"data"}, "have not the size they had"),
        (metric, {"accuracies"}, "metric test/3w1s/accuracy in MLflow does not follow"),
        (another_metric, {"accuracies"}, "metric geometry/ratio in MLflow does not follow"),
        (accuracy_tag, {"accuracies", "tags"}, "in tag kshot.accuracy of version 1 does not follow"),
        (params_of_another_run, {"params"}, "MLflow has other params than were recorded: train.steps"),
        (
            params_file_of_another_run,
            {"params", "record"},
            "params.yaml of the run has other params than were",
        ),
        (deleted_run, {"run"}, "mlflow runs restore --run-id"),
        (alias, {"history"}, "alias champion was taken away from version 1, outside kshot"),
        (newest_decision, {"decision"}, "decision.json of run"),
        (evidence, {"decision"}, "was changed"),
        (event, {"history", "tags"}, "event 1 is not as it was written"),
        (answers, {"accuracies", "decision", "record"}, "are not as they were written"),
        (patch, {"code", "record"}, "keeps no uncommitted.diff"),
        (lock, FROM_LOCK | {"record"}, "dvc.lock of run"),
        (environment, {"environment", "record"}, "environment.json of run"),
    ],
)
def test_a_planted_fault_is_found_and_named(
    root: Path, plant: Callable[[Path], None], links: set[str], told: str
) -> None:
    plant(root)
    found = broken(root)
    assert set(found) == links
    assert any(told in says for says in found.values()), found


def test_data_edited_without_a_change_of_size_is_found_by_hashing_it_again(root: Path) -> None:
    flip(image(root))
    assert broken(root) == {}
    found = broken(root, deep=True)
    assert list(found) == ["data"] and ".png of " in found["data"] and "changed in DVC's cache" in found["data"]


def test_a_decision_that_its_evidence_does_not_bear_out_is_found(root: Path) -> None:
    kept, rules, _ = decision_record.from_json(json.loads(run_file(root, "decision.json").read_text()))
    rules = dataclasses.replace(rules, non_inferiority_margin=0.0)
    worse = {name: Interval(-0.1, -0.2, -0.05) for name in kept.accuracy}
    kept = dataclasses.replace(
        kept, champion="1", comparisons=(gate_rules.Comparison("1", gate_rules.CHAMPION, worse),)
    )
    claimed = decision_record.to_json(kept, rules, gate_rules.Decision(True, ()))
    gate_decision.record_decision(root, "1", claimed, gate_rules.rules_hash(rules))
    found = broken(root)
    assert list(found) == ["decision"] and "does not follow from its evidence by its rules" in found["decision"]


def test_a_run_that_was_written_anew_whole_is_not_the_one_that_was_decided_about(root: Path) -> None:
    path = run_file(root, "dvc.lock")
    path.write_text(f"{path.read_text()}# another\n")
    forged = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    for table in ("model_version_tags", "tags"):
        execute(root, f"update {table} set value = ? where key = 'kshot.dvc_lock_hash'", forged)
    found = broken(root)
    assert set(found) == {"record", "decision", "tags"}
    assert "is about a version with another dvc_lock_hash" in found["decision"]


def test_a_comparison_on_other_data_is_told_to_be_not_checked(root: Path) -> None:
    client, ours = store.client(), model_versions.find(root, "1")
    tags = {**ours.tags, "kshot.data_version": "another"}
    client.create_model_version("kshot", "nowhere", ours.run_id, tags=tags)
    kept, rules, _ = decision_record.from_json(json.loads(run_file(root, "decision.json").read_text()))
    gate_decision.record_decision(root, "2", judgement(True, "1"), "r")
    same = {name: Interval(0.0, 0.0, 0.0) for name in kept.accuracy}
    kept = dataclasses.replace(kept, champion="2", comparisons=(gate_rules.Comparison("2", gate_rules.CHAMPION, same),))
    decided = decision_record.to_json(kept, rules, gate_rules.decide(kept, rules))
    gate_decision.record_decision(root, "1", decided, gate_rules.rules_hash(rules))
    found = model.audit_model(root, "1")
    link = next(link for link in found.links if link.name == "decision")
    assert link.state == "not checked" and link.holds, link
    assert "not checked are the differences to champion 2: its predictions for these episodes are gone" in link.says
    assert "as far as they could be checked: of decision not all could" in words.verdict(found)


def compared_with_answers_given_anew(root: Path) -> str:
    """Judge version 1 against a champion of other data that answered anew; the folder of its answers in the run."""
    store.connect(root)
    client, ours = store.client(), model_versions.find(root, "1")
    kept, rules, _ = decision_record.from_json(json.loads(run_file(root, "decision.json").read_text()))
    client.create_model_version("kshot", "nowhere", ours.run_id, tags={**ours.tags, "kshot.data_version": "another"})
    gate_decision.record_decision(root, "2", judgement(True, "1"), "r")
    mine = paired.read_results(run_file(root, "evaluation"))
    theirs = paired.Results(
        mine.episodes.assign(accuracy=mine.episodes["accuracy"] * 0.9),
        mine.cells.assign(right=mine.cells["right"] // 2),
    )
    kept = dataclasses.replace(
        kept,
        champion="2",
        comparisons=(paired.compared("2", gate_rules.CHAMPION, (), mine, theirs, rules.group_protocol),),
    )
    answered = stored_predictions.keep(client, ours.run_id, theirs)
    record = {**decision_record.to_json(kept, rules, gate_rules.decide(kept, rules)), "answered_anew": {"2": answered}}
    gate_decision.record_decision(root, "1", record, gate_rules.rules_hash(rules))
    return answered["folder"]


def test_a_comparison_on_other_data_is_measured_again_from_what_the_champion_answered_then(root: Path) -> None:
    folder = compared_with_answers_given_anew(root)
    link = audit(root)["decision"]
    assert link.state == "verified" and "the recomputed ones" in link.says, link
    flip(run_file(root, f"{folder}/cells.parquet"))
    found = broken(root)
    assert list(found) == ["decision"] and f"differ from the stored ones: {folder}/cells.parquet" in found["decision"]
    shutil.rmtree(run_file(root, folder))
    assert f"{folder} is gone from run {run_id(root)}" in broken(root)["decision"]


def test_a_difference_that_does_not_follow_from_what_the_champion_answered_anew_is_found(root: Path) -> None:
    compared_with_answers_given_anew(root)
    record = json.loads(run_file(root, "decision.json").read_text())
    kept, rules, _ = decision_record.from_json(record)
    claimed = {name: Interval(0.5, 0.4, 0.6) for name in kept.accuracy}
    kept = dataclasses.replace(kept, comparisons=(dataclasses.replace(kept.comparisons[0], difference=claimed),))
    gate_decision.record_decision(root, "2", judgement(True, "1"), "r")
    gate_decision.record_decision(
        root,
        "1",
        {**record, **decision_record.to_json(kept, rules, gate_rules.decide(kept, rules))},
        gate_rules.rules_hash(rules),
    )
    assert "the difference to champion 2 does not follow from the predicted episodes" in broken(root)["decision"]


def first_format(root: Path, promote: bool | None = None) -> None:
    """Judge version 1 against itself and record it as kshot did until format 2."""
    folder = run_file(root, "evaluation")
    table = pd.read_parquet(folder / "episodes.parquet")
    groups = first_decisions.read_groups(folder / "groups.csv")
    found = first_decisions.groups(groups, groups, "3w1s")
    evidence = {
        "accuracy": first_decisions.means(table),
        "champion": "1",
        "difference": first_decisions.differences(table, table),
        "groups": [{"group": name, "champion": one[0], "challenger": one[1]} for name, one in found.items()],
        "notes": [],
    }
    rules = {
        "min_accuracy": {"5w2s": 0.0, "3w1s": 0.0},
        "non_inferiority_margin": 0.005,
        "max_group_drop": 0.05,
        "approval": "automatic",
        "approval_timeout": 72.0,
    }
    said, reasons = first_decisions.decided(evidence, rules, "3w1s")
    decision = {"promote": said if promote is None else promote, "reasons": reasons}
    record = {"evidence": evidence, "rules": rules, "decision": decision}
    store.connect(root)
    gate_decision.record_decision(root, "1", record, gate_rules.rules_digest(rules))


def test_an_honest_record_of_the_first_format_holds(root: Path) -> None:
    first_format(root)
    link = audit(root)["decision"]
    assert link.state == "verified" and "the differences to champion 1 follow from both runs' predictions" in link.says


def test_a_record_of_the_first_format_that_claims_another_decision_is_found(root: Path) -> None:
    first_format(root, promote=False)
    assert "does not follow from its evidence by its rules" in broken(root)["decision"]


def test_a_record_that_cannot_be_parsed_is_broken_and_a_failure_of_our_own_is_not(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise KeyError("protocol")

    monkeypatch.chdir(root)
    monkeypatch.setattr(gate_rules, "decide", fails)
    assert audit(root)["decision"].state == "error"
    assert not [link for link in audit(root).values() if link.state == "broken"]
    assert cli.main(["audit", "--model", "1"]) == 14
    assert "decision     ERROR" in capsys.readouterr().out
    run_file(root, "params.yaml").write_text("train: [")
    assert "params.yaml of the run is no YAML any more" in broken(root)["params"]
    assert cli.main(["audit", "--model", "1"]) == 10


def test_a_model_of_another_tool_says_what_can_still_be_said(root: Path) -> None:
    store.connect(root)
    made = store.client().create_model_version("kshot", "nowhere", None)
    store.client().set_registered_model_alias("kshot", "champion", str(made.version))
    found = model.audit_model(root, str(made.version))
    states = {link.name: link.state for link in found.links}
    assert found.aliases == ("champion",) and {states[name] for name in ("model", "run", "data")} == {"not recorded"}
    assert {states[name] for name in ("decision", "history")} == {"broken"}
    told = {link.name: link.says for link in found.links}
    assert "registered by another tool" in told["model"] and "champion by no decision" in told["decision"]


def test_a_class_is_followed_to_data_and_models(made: Path) -> None:
    settings = json.loads(registered_file(made, "embedding.json").read_text())
    trained = settings["trained_on"][0]
    names = (f"group{number // 8}/class{number % 8:02d}" for number in range(24))
    other = next(name for name in names if name not in settings["trained_on"])
    found = classes.audit_class(made, trained)
    assert [one.images for one in found.data] == [6] and [one.how for one in found.models] == [classes.TRAINED]
    (unseen,) = classes.audit_class(made, other).models
    assert unseen.how == classes.IN_DATA and unseen.split in ("val", "test")
    assert [one.split for one in found.models] == ["train"]
    with pytest.raises(DataError, match="no class 'group0/clas'; did you mean group0/class0"):
        classes.audit_class(made, "group0/clas")
    with pytest.raises(DataError, match="did you mean group0/class03 or group1/class03 or group2/class03"):
        classes.audit_class(made, "Class03")
    with pytest.raises(DataError, match="no class 'Kiwi'; there are group0/class00, group0/class01, .* and 21 more"):
        classes.audit_class(made, "Kiwi")


def test_the_verb_prints_every_form_exits_by_what_holds_and_imports_no_torch(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(root)
    page = tmp_path / "audit.html"
    assert cli.main(["audit", "--model", "champion", "--json", "--html", str(page)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["holds"] and found["version"] == "1" and len(found["links"]) == 15
    text = page.read_text()
    assert text.count('<g class="link verified">') == 15 and "all 15 links hold" in text
    assert not re.search(r"(?:src|href)=|url\(|@import", text)
    deleted_run(root)
    assert cli.main(["audit", "--model", "1"]) == 10
    told = capsys.readouterr().out
    assert "run          BROKEN" in told and "version 1: one link does not hold: run" in told
    assert cli.main(["audit", "--model", "1", "--csv", "--html", str(page)]) == 10
    assert "1,run,broken," in capsys.readouterr().out and '<g class="link broken">' in page.read_text()
    assert cli.main(["audit", "--model", "7"]) == 7 and "there is no version '7'" in capsys.readouterr().err
    assert cli.main(["audit", "--at", "2026-03-01", "--deep"]) == 2
    assert imports_of.run_without({"torch"}, root, "audit", "--model", "1") == 10


def test_a_server_that_is_down_is_told_in_one_line(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(store.Unreachable, match="http://127.0.0.1:9 did not answer"):
        model.audit_model(root, "1")


def test_content_that_only_the_remote_holds_is_held(root: Path, tmp_path: Path) -> None:
    config = root / ".dvc/config.local"
    config.write_text(f"[core]\n    remote = far\n['remote \"far\"']\n    url = {tmp_path / 'far'}\n")
    try:
        working_copy.dvc(root, "push", "--quiet", "data/raw.dvc")
        image(root).unlink()
        assert "1 of them only in DVC's remote" in audit(root)["data"].says
    finally:
        config.unlink()
