"""The verbs of the registry from a person's view: output, exit codes, and the modules they must not import."""

import contextlib
import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kshot import cli
from kshot.cli.versions.models import event_lines
from kshot.lifecycle.history import history
from kshot.lifecycle.registry import gate_decision
from kshot.lifecycle.tracking import store
from kshot.serve.store import disagreements
from kshot.serve.store.gallery_store import open_store
from tests.lifecycle import registered_versions
from tests.lifecycle.history.event_chains import HISTORY
from tests.lifecycle.registered_versions import judgement

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 is champion; 2, 3 and 4 wait for somebody to decide."""
    root = registered_versions.write(tmp_path_factory.mktemp("template"))
    gate_decision.record_decision(root, "1", judgement(True), "r")
    return root


@pytest.fixture
def root(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    project = registered_versions.copy(template, tmp_path / "project")
    monkeypatch.chdir(project)
    return project


def test_history_says_that_the_clock_had_been_set_back() -> None:
    """The event has the time of the one before it, so that their order stays."""
    late = dataclasses.replace(HISTORY[-1], clock="2020-01-02T03:04:05+00:00")
    said = "the clock said 2020-01-02 03:04 UTC, before the last event: set back"
    assert [said in [text for _, text in event_lines(one)] for one in (*HISTORY, late)] == [False] * 5 + [True]


def test_the_whole_life_of_a_promotion(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # no cell of a table is folded
    assert cli.main(["promote", "2", "--reason", "sharper", "--by", "Ada"]) == 0
    assert cli.main(["rollback", "--reason", "not in the field"]) == 0
    assert cli.main(["reject", "3", "--reason", "too slow", "--by", "Grace"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "version 2 is champion now instead of version 1; recorded as event 2",
        "version 1 is champion now instead of version 2; recorded as event 3",
        "version 3 is rejected, version 1 stays champion; recorded as event 4",
    ]
    assert cli.main(["models"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].split() == ["version", "alias", "data", "3w1s", "age", "decision"]
    assert rows[1].split()[:5] == ["1", "champion", "01234567", "51.00", "%"]
    assert [row.rsplit("min  ", 1)[1] for row in rows[2:]] == [
        "rolled back, for version 1",
        "rejected by Grace",
        "none",
    ]
    assert cli.main(["history"]) == 0
    told = capsys.readouterr().out
    assert re.search(r"\n  2  \S+ \S+ UTC  version 2 promoted by hand, by .*\n     champion 2.*\n", told)
    assert re.search(r"\n  4  .*version 3 rejected, by Grace.*\n     champion 1\n     too slow\n", told)
    assert "all 4 events are as they were written" in told


def test_one_event_is_not_written_as_many(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["history"]) == 0
    assert "the one event is as it was written, and" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("version", "said", "mended"),
    [
        ("2", "version 2 is champion by no decision: its alias was moved outside kshot", ["promote", "2"]),
        (None, "there is no champion by no decision: the alias was taken from version 1 outside", ["promote", "1"]),
    ],
)
def test_a_champion_by_an_alias_moved_by_hand_is_told_until_a_person_decides(
    root: Path, capsys: pytest.CaptureFixture[str], version: str | None, said: str, mended: list[str]
) -> None:
    with store.translated_errors(store.connect(root)):
        if version is not None:
            store.client().set_registered_model_alias("kshot", "champion", version)
        else:
            store.client().delete_registered_model_alias("kshot", "champion")
    assert cli.main(["history"]) == 1
    assert cli.main(["models"]) == 0  # records the move as an event, so that the aliases stand where it left them
    assert cli.main(["history", "--json"]) == 1
    capsys.readouterr()
    assert cli.main(["history"]) == 1
    told = capsys.readouterr().out
    assert f"! {said}" in told and "as they were written" not in told
    assert cli.main([*mended, "--reason", "meant so"]) == 0
    assert cli.main(["history"]) == 0


def test_a_comparison_shows_how_often_the_shadow_disagreed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", "1", "2"]) == 0
    assert "kshot serve" not in capsys.readouterr().out
    assert not (root / ".kshot/serve").exists(), "to look creates no store"
    with contextlib.closing(open_store(root)) as store:
        disagreements.add(store, "1", "2", 1500, 40)
        disagreements.add(store, "1", "2", 500, 20)
        disagreements.add(store, "1", "3", 10, 10)
    for pair in (["champion", "2"], ["2", "1"]):
        assert cli.main(["compare", *pair]) == 0
        asked = [line for line in capsys.readouterr().out.splitlines() if "kshot serve" in line]
        assert asked == [
            "  `kshot serve` had version 2 recognise the same 2,000 images as version 1: 60 got another label (3.0 %)"
        ]


def test_a_champion_that_mlflow_has_no_more_is_not_advised(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with store.translated_errors(store.connect(root)):
        store.client().delete_model_version("kshot", "1")
    assert cli.main(["models"]) == 0
    capsys.readouterr()
    assert cli.main(["history"]) == 1
    told = capsys.readouterr().out
    assert "the alias was taken from version 1 outside kshot; `kshot approve` or `kshot promote` names another" in told
    assert "kshot promote 1" not in told
    assert cli.main(["promote", "1", "--reason", "x"]) == 7
    assert "version 1 was deleted in MLflow; the nearest are 2, 3, 4" in capsys.readouterr().err


def test_a_comparison_shows_protocols_groups_and_the_classes_that_moved(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["compare", "champion", "2"]) == 0
    told = capsys.readouterr().out
    assert "version 1 and version 2 on the same 40 episodes a protocol" in told
    assert "3w1s      65.00 %    70.00 %    +5.00 pp" in told
    assert (
        "g      40.00 %    60.00 %    +20.00 pp   [+1" in told
        and "intervals are over episodes of these classes" in told
    )
    assert (
        "1 of 2 classes got worse for certain, 1 better (Holm's correction);\n"
        "  of 2 figures, one a class and protocol, 1 rose and 1 fell"
        in told
        and "h/b" in told
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["promote", "7", "--reason", "x"], "there is no version '7'; the nearest are 2, 3, 4: see `kshot models`"),
        (["promote", "2", "--reason", " "], "the reason is empty; say why in a few words"),
        (["approve", "champion"], "version 1 is champion already and does not wait for approval (none does now)"),
        (["rollback", "--reason", "x"], "version 1 is the first champion, so there is none to go back to"),
        (["compare", "1", "challenger"], "there is no version 'challenger'; did you mean"),
    ],
)
def test_what_cannot_be_is_one_line_and_nothing_is_changed(
    root: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert cli.main(arguments) == 7
    error = capsys.readouterr().err
    assert error.startswith("kshot: error: ") and error.count("\n") == 1 and told in error
    assert len(history.history(root)) == 1


def test_a_decision_without_a_reason_is_refused(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in (["promote", "2"], ["reject", "2"], ["rollback"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(verb)
        assert ended.value.code == 2 and "--reason" in capsys.readouterr().err


def test_programs_get_every_field(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "--json"]) == 0
    models = json.loads(capsys.readouterr().out)
    assert [model["version"] for model in models] == ["1", "2", "3", "4"] and models[0]["accuracy"]["3w1s"][0] == 0.51
    assert cli.main(["history", "--json"]) == 0
    (event,) = json.loads(capsys.readouterr().out)
    assert event["after"] == {"champion": "1"} and event["who"]["name"] == "gate"


def test_a_server_that_is_down_is_named_with_the_time_that_was_tried(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert cli.main(["models"]) == 7
    assert "MLflow's server http://127.0.0.1:9 did not answer" in capsys.readouterr().err


VERBS = [
    ["models"],
    ["history"],
    ["compare", "1", "2"],
    ["promote", "2", "--reason", "x"],
    ["reject", "3", "--reason", "x"],
    ["rollback", "--reason", "x"],
    ["approve", "4"],
]


def test_no_verb_of_the_registry_imports_torch_or_prefect(root: Path) -> None:
    # One process for all: whichever imported them would be seen, and starting is what takes the time.
    code = f"""
import sys
from kshot import cli
codes = [cli.main(verb) for verb in {VERBS!r}]
print("heavy:", sorted({{"torch", "timm", "prefect", "dvc", "great_expectations"}} & set(sys.modules)), codes)
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=240, check=True
    )
    assert ended.stdout.splitlines()[-1] == "heavy: [] [0, 0, 0, 0, 0, 0, 7]", ended.stdout + ended.stderr
