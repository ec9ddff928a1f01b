"""verify.py names each fault of an attestation with its file, with Python's standard library and ssh-keygen alone."""

import dataclasses
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

from kshot import cli, statistics
from kshot.lifecycle.evidence import verify
from kshot.lifecycle.gate import decision_record, gate_rules, paired
from kshot.lifecycle.gate.change import Change
from kshot.lifecycle.gate.gallery_evidence import GalleryEvidence
from kshot.lifecycle.history import anchor
from kshot.lifecycle.registry import registered_files
from kshot.params.sections.gate import Gate
from kshot.statistics import Interval
from tests.lifecycle.audited_project import flip
from tests.lifecycle.evidence.folders import edit, resealed, unsign
from tests.lifecycle.ssh_keys import new_key

RULES = Gate(
    min_accuracy={"5w1s": 0.5, "5w5s": 0.6},
    group_protocol="5w1s",
    non_inferiority_margin=0.01,
    significantly_worse="refuse",
    reference="best",
    max_group_drop=0.02,
    max_class_drop=0.03,
    approval="automatic",
    approval_timeout=72,
)


def checked(
    folder: Path, *, allowed: Path | None = None, model: Path | None = None, anchored: Path | None = None
) -> Any:
    """Check name to state and text."""
    found = verify.checks(verify.Folder(folder), verify.Given(model_dir=model, allowed=allowed, anchored=anchored))
    return {name: (state, text) for name, state, text in found}


def failed(folder: Path, **options: Path) -> dict[str, str]:
    return {name: text for name, (state, text) in checked(folder, **options).items() if state == verify.FAILED}


def run_alone(folder: Path, *arguments: str, packages: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the folder's verify.py in an empty environment, with an interpreter that sees no installed package."""
    command = [sys.executable, "-I", *([] if packages else ["-S"]), str(folder / "verify.py"), *arguments]
    names = {"PATH": "/usr/bin:/bin"}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder.parent, env=names, check=False)


def test_a_whole_folder_verifies_alone_with_what_could_not_be_checked(signed: Path, signers: Path) -> None:
    none = [sys.executable, "-I", "-S", "-c", "import kshot"]
    assert subprocess.run(none, capture_output=True, check=False).returncode == 1
    ended = run_alone(signed, "--allowed-signers", str(signers))
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in ended.stdout.splitlines()[1:-1]}
    assert {name for name, text in lines.items() if text.startswith("ok ")} == {
        *(
            "files",
            "signature",
            "events",
            "persons",
            "record",
            "stages",
            "data",
            "accuracies",
            "comparison",
            "decision",
        ),
        *("card", "model"),
    }
    assert lines["signature"] == "ok signed by ada@example.org, whose key is in allowed_signers"
    assert lines["envelopes"].startswith("not checked whether the signatures in envelopes/ are valid")
    assert lines["anchor"].startswith("not checked")
    assert "whether images and labels are right" in lines["limits"]


def test_the_command_says_the_same_as_the_file(signed: Path, signers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = cli.main(["verify", str(signed), "--allowed-signers", str(signers)])
    alone = run_alone(signed, str(signed), "--allowed-signers", str(signers), packages=True)
    assert (code, capsys.readouterr().out) == (alone.returncode, alone.stdout)


def test_a_flipped_byte_of_every_file_is_named(folder: Path, signers: Path) -> None:
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert len(names) > 100  # with the files of the model
    for name in names:
        path = folder / name
        before = path.read_bytes()
        flip(path, len(before) // 2)
        found = verify.Folder(folder)
        try:
            if name in (verify.MANIFEST, verify.SIGNATURE):
                with pytest.raises(verify.Wrong, match=r"manifest\.json"):
                    verify.signature(found, signers)
            else:
                with pytest.raises(verify.Wrong) as wrong:
                    verify.files(found)
                assert str(wrong.value) == f"{name} was changed: its sha256 is not the one in manifest.json"
        finally:
            path.write_bytes(before)
    assert failed(folder, allowed=signers) == {}


def test_a_missing_an_added_and_two_swapped_files_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = folder / "statements/02-split.json", folder / "statements/03-validate.json"
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    (folder / "predictions/cells.csv").unlink()
    (folder / "run/evaluation/more.csv").write_text("a\n1\n")
    assert verify.main([str(folder)]) == 1
    said = capsys.readouterr().out
    for text in (
        "statements/02-split.json was changed",
        "statements/03-validate.json was changed",
        "predictions/cells.csv is missing",
        "run/evaluation/more.csv was added",
    ):
        assert text in said
    assert "FAILED" in next(line for line in said.splitlines() if line.startswith("  accuracies"))


def test_a_link_instead_of_a_file_is_named(folder: Path) -> None:
    shutil.move(folder / "card.md", folder.parent / "card.md")
    (folder / "card.md").symlink_to(folder.parent / "card.md")
    assert failed(folder)["files"] == "card.md is a link, and not a file of this folder"


def test_a_signature_of_another_key_and_none_at_all_are_named(folder: Path, signers: Path, tmp_path: Path) -> None:
    (folder / verify.SIGNATURE).unlink()
    assert failed(folder) == {"envelopes": "manifest.json.sig is missing, whose key must have signed envelopes/"}
    (folder / verify.SIGNATURE).touch()
    unsign(folder)
    assert failed(folder, allowed=signers) == {"signature": "manifest.json.sig is missing: nobody signed this folder"}
    assert failed(folder) == {}
    eve = new_key(tmp_path / "eve")
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(eve), "-n", verify.NAMESPACE, str(folder / "manifest.json")]
    subprocess.run(command, check=True, capture_output=True)
    assert (
        f"manifest.json.sig: its key is not in {signers}, or its time is over"
        in failed(folder, allowed=signers)["signature"]
    )
    state, text = checked(folder)["signature"]
    assert state == verify.OPEN
    assert "nobody vouches for" in text


def test_a_signature_for_another_purpose_is_not_valid(folder: Path, signers: Path, key: Path) -> None:
    (folder / verify.SIGNATURE).unlink()
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", "git", str(folder / "manifest.json")]
    subprocess.run(command, check=True, capture_output=True)
    assert failed(folder, allowed=signers)["signature"].startswith("manifest.json.sig: it is not valid")


def rewrite_chain(folder: Path) -> None:
    """Rewrite the chain hash by hash, and name its new head and content in the manifest."""
    lines, last = [], ""
    for line in (folder / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        event |= {"why": "because I say so", "previous": last}
        del event["hash"]
        text = json.dumps(event, sort_keys=True, ensure_ascii=False)
        last = hashlib.sha256(text.encode()).hexdigest()
        lines.append(json.dumps({**event, "hash": last}, ensure_ascii=False))
    (folder / "events.jsonl").write_text("".join(f"{line}\n" for line in lines))
    edit(folder / "manifest.json", lambda manifest: manifest["head"].update(hash=last))


def test_an_edited_event_is_named_even_if_the_manifest_was_rewritten(folder: Path) -> None:
    path = folder / "events.jsonl"
    path.write_text(path.read_text().replace('"action": "promoted"', '"action": "refused"'))
    resealed(folder)
    assert failed(folder)["events"] == "events.jsonl: event 1 was changed, its content does not have its hash"


def test_the_folder_of_another_project_or_version_is_named(signed: Path) -> None:
    for expected in ("kshot", "kshot/1"):
        ended = run_alone(signed, "--expect", expected)
        assert ended.returncode == 0 and "subject     ok           about kshot/1, as expected" in ended.stdout
    for expected in ("shop", "kshot/2", "shop/1"):
        ended = run_alone(signed, "--expect", expected)
        assert ended.returncode == 1 and f"about kshot/1, and {expected} was expected" in ended.stdout
        assert cli.main(["verify", str(signed), "--expect", expected]) == 1


def test_a_chain_rewritten_consistently_is_found_by_the_signature_and_by_the_anchor(
    made: Path, folder: Path, signers: Path, tmp_path: Path
) -> None:
    run = json.loads((folder / "manifest.json").read_text())["history"]
    path = tmp_path / "anchored"
    ref = anchor.read(made, run).ref
    shown = subprocess.run(["git", "show", f"{ref}:events"], cwd=made, check=True, capture_output=True)
    path.write_bytes(shown.stdout)
    assert checked(folder, anchored=path)["anchor"][0] == verify.OK
    rewrite_chain(folder)
    resealed(folder)
    unsigned = shutil.copytree(folder, tmp_path / "unsigned")
    unsign(unsigned)
    assert failed(unsigned) == {}  # consistent in itself: only what lies outside the folder shows it
    found = failed(folder, allowed=signers, anchored=path)
    assert found.keys() == {"signature", "anchor"}
    assert found["anchor"] == "events.jsonl: event 1 is not the one that anchored anchors: the chain was rewritten"


def set_mean(content: Any) -> None:
    content["accuracy"]["3w1s"]["mean"] = 0.99


def set_promote(content: Any) -> None:
    content["rules"]["min_accuracy"]["3w1s"] = 0.999


def set_command(content: Any) -> None:
    content["predicate"]["buildDefinition"]["externalParameters"]["command"] = "python -m other"


def set_param(content: Any) -> None:
    params = content["predicate"]["buildDefinition"]["externalParameters"]["params"]
    params["params.yaml"]["train"]["steps"] = 30


def set_code(content: Any) -> None:
    definition = content["predicate"]["buildDefinition"]
    definition["internalParameters"]["code"].popitem()
    del definition["resolvedDependencies"][-1]


def set_input(content: Any) -> None:
    definition = content["predicate"]["buildDefinition"]
    definition["internalParameters"]["inputs"]["deps"]["data/split"] = f"{'0' * 32}.dir"
    for entry in definition["resolvedDependencies"]:
        if entry["name"] == "data/split":
            entry["digest"] = {"dvcDirectoryMd5": "0" * 32}


def set_package(content: Any) -> None:
    content["components"][-1]["version"] = "0"


def set_class(content: Any) -> None:
    content["recordSet"][0]["data"][0]["classes/images"] = 7


def set_run(content: Any) -> None:
    content["predicate"]["runDetails"]["metadata"]["invocationId"] = "another"


@pytest.mark.parametrize(
    ("name", "change", "check"),
    [
        ("run/metrics.json", set_mean, "accuracies"),
        ("run/metrics.json", set_mean, "record"),
        ("decision.json", set_promote, "decision"),
        ("statements/03-validate.json", set_command, "stages"),
        ("statements/06-train.json", set_param, "stages"),
        ("statements/06-train.json", set_code, "stages"),
        ("statements/06-train.json", set_input, "stages"),
        ("statements/07-evaluate.json", set_run, "stages"),
        ("bom.json", set_package, "card"),
        ("data/croissant.json", set_class, "data"),
    ],
)
def test_an_edit_with_a_rewritten_manifest_is_named_by_the_check_of_its_content(
    folder: Path, name: str, change: Callable[[Any], None], check: str
) -> None:
    edit(folder / name, change)
    resealed(folder)
    found = failed(folder)
    assert "files" not in found
    assert name in found[check]


def test_a_prediction_that_was_changed_breaks_the_accuracies(folder: Path) -> None:
    path = folder / "predictions/episodes.csv"
    lines = path.read_text().splitlines()
    place = next(place for place, line in enumerate(lines) if line.startswith("3w1s") and line.endswith(",1.0"))
    lines[place] = lines[place].replace(",1.0", ",0.5")
    path.write_text("\n".join(lines) + "\n")
    resealed(folder)
    assert "3w1s does not follow from the predictions" in failed(folder)["accuracies"]


def test_a_statement_that_was_left_out_with_its_name_in_the_manifest_is_found(folder: Path) -> None:
    (folder / "statements/05-embed.json").unlink()
    resealed(folder)
    assert failed(folder)["stages"].startswith("statements/06-train.json is about stage train, or a statement before")
    (folder / "statements/06-train.json").rename(folder / "statements/05-train.json")
    (folder / "statements/07-evaluate.json").rename(folder / "statements/06-evaluate.json")
    resealed(folder)
    assert "data/embedded is not the output of the stage before" in failed(folder)["stages"]


def test_a_model_is_compared_with_the_manifest_of_the_served_one(made: Path, folder: Path, tmp_path: Path) -> None:
    served = registered_files.fetched(made, "1", tmp_path / "fetched")
    shutil.rmtree(folder / "model")
    resealed(folder)
    assert checked(folder)["model"][0] == verify.OPEN
    assert checked(folder, model=served)["model"][0] == verify.OK
    flip(served / "artifacts/embedding/embedding.safetensors")
    (served / "extra.py").write_text("")
    said = failed(folder, model=served)["model"]
    assert "artifacts/embedding/embedding.safetensors was changed" in said
    assert "extra.py was added" in said
    assert "no folder" in failed(folder, model=tmp_path / "none")["model"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: one.update(format=2), "is of format 2, and this verify.py reads 1"),
        (lambda one: one.update(kind="something"), "is not the manifest of a kshot attestation"),
    ],
)
def test_another_kind_of_folder_and_a_newer_format_exit_2(
    folder: Path, change: Callable[[Any], None], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(folder / "manifest.json", change)
    assert verify.main([str(folder)]) == 2
    assert said in capsys.readouterr().out


def test_a_folder_that_is_none_exits_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", str(tmp_path)]) == 2
    assert "manifest.json cannot be read" in capsys.readouterr().out


def test_a_file_without_its_fields_is_a_fault_and_no_traceback(folder: Path) -> None:
    for name in ("decision.json", "bom.json", "run/metrics.json", "served-model.json", "statements/01-ingest.json"):
        (folder / name).write_text("{}")
    resealed(folder)
    assert failed(folder).keys() >= {"record", "stages", "accuracies", "decision", "card"}


def test_no_control_character_of_a_file_reaches_the_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a\x1b[31mred").write_text("")
    verify.main([str(folder)])
    assert "\x1b" not in capsys.readouterr().out


def test_the_arithmetic_is_that_of_kshot() -> None:
    random = np.random.default_rng(0)
    for degrees in (1, 2, 5, 19, 599, 9999):
        assert verify.t_quantile(degrees) == pytest.approx(statistics.t_quantile(degrees), rel=1e-11)
    for size in (1, 2, 3, 20, 600):
        for high in (1, 2, 15):
            n = random.integers(0 if size > 3 else 1, 16, size).astype(float)
            n[0] = 5
            a, b = (np.minimum(random.integers(0, high + 1, size), n) for _ in range(2))
            for ours, theirs in (
                (statistics.ratio_interval(a, n), verify.ratio_interval(list(a), list(n))),
                (statistics.ratio_difference(a, b, n), verify.ratio_difference(list(a), list(b), list(n))),
            ):
                assert theirs == pytest.approx(tuple(ours), abs=1e-11, nan_ok=True)


@pytest.mark.parametrize("seed", range(40))
def test_the_gate_is_that_of_kshot(seed: int) -> None:
    random = np.random.default_rng(seed)

    def interval() -> Interval:
        mean = float(random.normal(0, 0.02))
        if random.random() < 0.1:  # a single episode
            return Interval(mean, float("nan"), float("nan"))
        return Interval(mean, mean - float(random.uniform(0, 0.03)), mean + float(random.uniform(0, 0.03)))

    def changes(count: int) -> tuple[Change, ...]:
        return tuple(
            Change("5w1s", f"name{n}", 0.8, 0.8, interval(), int(random.integers(2, 50))) for n in range(count)
        )

    accuracy = {name: Interval(float(random.uniform(0.4, 0.9)), 0.3, 0.95) for name in ("5w1s", "5w5s")}
    comparisons = (
        gate_rules.Comparison(
            "3", gate_rules.CHAMPION, {name: interval() for name in accuracy}, changes(3), changes(9)
        ),
        gate_rules.Comparison("2", gate_rules.BEST, {"5w5s": interval()}, changes(3), changes(9)),
    )
    rules, galleries = RULES, None
    if seed % 2:
        loss: Literal["wait", "refuse"] = "wait" if seed % 4 == 1 else "refuse"
        rules = dataclasses.replace(RULES, gallery_margin=0.02, gallery_loss=loss)
        galleries = tuple(
            GalleryEvidence(f"gallery {n}", 9, ((4, 4, 4, 3), (4, 4, int(random.integers(0, 5)), 9))) for n in range(3)
        )
        galleries = (*galleries, GalleryEvidence("small", 1, why="it has one class"))
    evidence = gate_rules.Evidence(accuracy, "3", comparisons, galleries=galleries)
    decided = gate_rules.decide(evidence, rules)
    record = json.loads(json.dumps(decision_record.to_json(evidence, rules, decided)))
    again = verify.decide(record["evidence"], record["rules"])
    assert sorted(map(verify.fact, again)) == sorted(map(verify.fact, record["decision"]["findings"]))


@pytest.mark.parametrize("role", [gate_rules.CHAMPION, gate_rules.BEST, gate_rules.FIXED])
@pytest.mark.parametrize("had", [["5w5s"], ["20w1s", "5w20s"], []])
def test_a_version_that_lacks_protocols_of_the_gate_is_decided_about_as_kshot_does(role: str, had: list[str]) -> None:
    """As a memory network, which has labels for few classes."""
    accuracy = {name: Interval(0.9, 0.8, 0.95) for name in ("5w1s", "5w5s", "5w20s", "20w1s")}
    comparison = gate_rules.Comparison("3", role, {name: Interval(-0.1, -0.2, -0.05) for name in had})
    evidence = gate_rules.Evidence(accuracy, "3", (comparison,))
    decided = gate_rules.decide(evidence, RULES)
    record = json.loads(json.dumps(decision_record.to_json(evidence, RULES, decided)))
    again = verify.decide(record["evidence"], record["rules"])
    assert sorted(map(verify.fact, again)) == sorted(map(verify.fact, record["decision"]["findings"]))


def tables(random: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows = [
        (protocol, episode, f"g{name % 2}/c{name}", name % 3, f"g{name % 2}", 4, int(random.integers(1, 5)))
        for protocol in ("5w1s", "5w5s")
        for episode in range(12)
        for name in sorted(np.random.default_rng(episode).choice(8, 5, replace=False))
    ]
    columns = ["protocol", "episode", "class", "rotation", "group", "queries", "right"]
    cells = pd.DataFrame(rows, columns=columns)
    sums = cells.groupby(["protocol", "episode"], sort=False)[["queries", "right"]].sum().reset_index()
    sums["accuracy"] = sums["right"] / sums["queries"]
    return sums[["protocol", "episode", "accuracy"]], cells


def decide(folder: Path, record: dict[str, Any]) -> None:
    """Write a decision, and the event that names it."""
    text = json.dumps(record)
    (folder / "decision.json").write_text(text)
    proof = {"sha256": hashlib.sha256(text.encode()).hexdigest()}
    event = {"version": "4", "action": "refused", "number": 1, "proof": proof}
    (folder / "events.jsonl").write_text(json.dumps(event) + "\n")


def compared_folder(folder: Path, role: str = gate_rules.CHAMPION, protocols: Sequence[str] = ()) -> dict[str, Any]:
    """Write two models' predictions and a decision that compares them; returns the decision."""
    random, sides = np.random.default_rng(1), {}
    digests = {}
    for place in ("predictions", "compared/3"):
        (folder / place).mkdir(parents=True)
        sides[place] = paired.Results(*tables(random))
        for name, table in sides[place]._asdict().items():
            table.to_csv(folder / place / f"{name}.csv", index=False)
            table.to_parquet(folder / place / f"{name}.parquet", index=False)
            digests[name] = hashlib.sha256((folder / place / f"{name}.parquet").read_bytes()).hexdigest()
    ours, theirs = sides["predictions"], sides["compared/3"]
    accuracy = {
        str(name): statistics.mean_interval(part["accuracy"]) for name, part in ours.episodes.groupby("protocol")
    }
    found = paired.compared("3", role, protocols, ours, theirs, "5w1s")
    evidence = gate_rules.Evidence(accuracy, "3", (found,))
    record = decision_record.to_json(evidence, RULES, gate_rules.decide(evidence, RULES))
    record["answered_anew"] = {"3": {"folder": "champions/x", **digests}}
    decide(folder, record)
    about = {"kind": verify.KIND, "format": verify.FORMAT, "version": "4", "files": {}}
    (folder / "manifest.json").write_text(json.dumps(about))
    return record


def test_the_comparison_with_a_champion_follows_from_both_models_predictions(tmp_path: Path) -> None:
    compared_folder(tmp_path)
    text = verify.comparisons(verify.Folder(tmp_path))
    assert text == "the differences to champion 3 follow from both models' predictions"


def test_the_best_on_another_protocol_than_that_of_the_groups_has_no_groups_and_classes(tmp_path: Path) -> None:
    record = compared_folder(tmp_path, gate_rules.BEST, ["5w5s"])
    assert record["evidence"]["comparisons"][0]["classes"] == []
    text = verify.comparisons(verify.Folder(tmp_path))
    assert text == "the differences to best champion 3 follow from both models' predictions"


def test_groups_that_were_left_out_of_a_comparison_are_named(tmp_path: Path) -> None:
    record = compared_folder(tmp_path)
    record["evidence"]["comparisons"][0]["groups"] = []
    decide(tmp_path, record)
    with pytest.raises(verify.Wrong, match="the groups compared with champion 3, are not those"):
        verify.comparisons(verify.Folder(tmp_path))


@pytest.mark.parametrize("kind", ["groups", "classes", "difference"])
def test_a_comparison_that_does_not_follow_is_named(tmp_path: Path, kind: str) -> None:
    record = compared_folder(tmp_path)
    one = record["evidence"]["comparisons"][0][kind]
    if kind == "difference":
        one["5w1s"] = [0.2, 0.1, 0.3]
    else:
        one[0]["new"] += 1e-6
    decide(tmp_path, record)
    with pytest.raises(verify.Wrong, match=kind if kind != "difference" else "5w1s does not follow"):
        verify.comparisons(verify.Folder(tmp_path))


def test_predictions_of_the_champion_that_are_gone_are_not_checked(tmp_path: Path) -> None:
    compared_folder(tmp_path)
    shutil.rmtree(tmp_path / "compared")
    with pytest.raises(verify.Open, match="champion 3 cannot be checked: those predictions are gone"):
        verify.comparisons(verify.Folder(tmp_path))


def test_another_table_of_the_champion_is_named(tmp_path: Path) -> None:
    compared_folder(tmp_path)
    flip(tmp_path / "compared/3/cells.parquet")
    with pytest.raises(verify.Wrong, match=r"compared/3/cells\.parquet is not the table"):
        verify.comparisons(verify.Folder(tmp_path))
