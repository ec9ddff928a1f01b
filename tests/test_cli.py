"""The command line: help for newcomers, one line an error, exit codes, nothing written if a setting is invalid."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kshot import cli
from kshot.errors import KshotError
from kshot.lifecycle.project import project_lock
from kshot.params.schema import load_params

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without data, and the working directory in it."""
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(REPOSITORY / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def kshot(*arguments: str, cwd: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kshot.cli", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


HELP = """
import sys
from kshot import cli
try:
    cli.main(["--help"])
finally:
    packages = {name.partition(".")[0] for name in sys.modules}
    print(*packages - set(sys.stdlib_module_names), sep="\\n", file=sys.stderr)
"""


def test_help_names_every_verb_and_imports_no_package_for_it() -> None:
    """What answers at once: 0.1 s, where MLflow or torch alone take seconds to import."""
    ended = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True)
    assert (
        set(ended.stderr.split()) & {"torch", "mlflow", "prefect", "dvc", "pandas", "numpy", "yaml", "ruamel"} == set()
    )
    assert "kshot" in ended.stderr.split()
    assert all(
        f"kshot {verb}" in ended.stdout
        for verb in ("retrain", "data add", "tasks", "drift", "models", "schedule", "ui")
    )


VERBS = (
    "init retrain plan data fit-settings models compare history promote approve reject rollback audit attest verify "
    "reproduce prune forget schedule sweep tasks drift doctor ui"
)


@pytest.mark.parametrize(
    "verb", [*([verb] for verb in VERBS.split()), ["data", "add"], ["data", "versions"], ["data", "diff"]]
)
def test_each_verb_explains_itself(verb: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*verb, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: kshot {' '.join(verb)}")


def test_version() -> None:
    assert kshot("--version").stdout == "kshot 0.2.0\n"


def test_an_unknown_option_exits_2() -> None:
    assert kshot("retrain", "--setting", "x").returncode == 2


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["retrian"], "no command 'retrian'; did you mean retrain? (`kshot --help` explains all)"),
        (["data", "versoins"], "no command 'versoins'; did you mean versions? (`kshot data --help` explains all)"),
        (["data", "lst"], "no command 'lst'; did you mean versions? (`kshot data --help` explains all)"),
        (["schedule", "lst"], "no command 'lst'; did you mean list? (`kshot schedule --help` explains all)"),
        (["schedule", "puase"], "no command 'puase'; did you mean pause? (`kshot schedule --help` explains all)"),
        (["schedule", "pause", "evry"], "no NAME 'evry'; did you mean every?"),
        (["xyzzy"], "no command 'xyzzy'; needs one of init, retrain, plan, "),
        (["data", "diff"], "A and B missing; write kshot data diff A B (`kshot data diff --help` explains all)"),
        (["reject", "1"], "--reason missing; write kshot reject --reason TEXT [--by NAME] [--key FILE] VERSION"),
        (["retrain", "--set"], "--set needs a value; write kshot retrain [--set KEY=VALUE]"),
        (["audit"], "`kshot audit` needs one of --model, --data, --at, --class, --limits"),
        (["data", "add", "--skp", "x"], "`kshot data add` takes no '--skp'; did you mean --skip?"),
        (["data", "add", "--nte"], "`kshot data add` takes no '--nte'; did you mean --note?"),
        (["promote", "3", "--raeson=x"], "`kshot promote` takes no '--raeson'; did you mean --reason?"),
        (["promote", "3", "--rea", "x", "--b"], "--by needs a value"),
        (["promote", "3", "--by", "x", "--", "--y"], "--reason missing"),
        (["prune", "--x"], "`kshot prune` takes no '--x'; write kshot prune [--yes]"),
        (["data", "versions", "--debug"], "`kshot data versions` takes no '--debug'; it comes before the command: "),
        (["models", "2"], "`kshot models` takes no '2'; write kshot models [--json] ("),
        (["plan", "2"], "`kshot plan` takes no '2'; write kshot plan ("),
    ],
)
def test_what_is_mistyped_is_told_with_what_was_likely_meant(
    capsys: pytest.CaptureFixture[str], typed: list[str], told: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(typed)
    error = capsys.readouterr().err
    assert ended.value.code == 2 and error.startswith(f"kshot: error: {told}") and error.count("\n") == 1


@pytest.mark.parametrize("verb", [["tasks"], ["drift"], ["data", "add"]], ids=str)
def test_a_source_that_is_not_there_is_told_before_any_model_is_asked_for(
    root: Path, capsys: pytest.CaptureFixture[str], verb: list[str]
) -> None:
    assert cli.main([*verb, "nope"]) == 3
    assert capsys.readouterr().err.startswith("kshot: error: nope does not exist; needs a folder, ")


def test_outside_a_project_one_line_says_what_is_needed(tmp_path: Path) -> None:
    ended = kshot("data", "versions", cwd=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith("kshot: error: ") and ended.stderr.count("\n") == 1
    assert "make one: kshot init NAME" in ended.stderr


def test_a_folder_below_the_project_will_do(root: Path) -> None:
    (root / "data" / "deep").mkdir(parents=True)
    assert cli.project_root(root / "data" / "deep") == root


@pytest.mark.parametrize(
    ("setting", "told"),
    [("train.steps=0", "train.steps is 0; needs at least 1"), ("train.stepz=5", "did you mean train.steps")],
)
def test_a_wrong_setting_exits_2_and_writes_nothing(
    root: Path, capsys: pytest.CaptureFixture[str], setting: str, told: str
) -> None:
    before = (root / "params.yaml").read_bytes()
    assert cli.main(["retrain", "--set", "train.seed=5", "--set", setting]) == 2
    output = capsys.readouterr()
    assert told in output.err and output.err.count("\n") == 1 and "Traceback" not in output.err
    assert (root / "params.yaml").read_bytes() == before


def test_a_missing_params_file_is_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["retrain", "--params", "nowhere.yaml"]) == 2
    assert "nowhere.yaml: No such file" in capsys.readouterr().err


def test_debug_shows_the_traceback_too(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KSHOT_DEBUG", "0")
    assert cli.main(["--debug", "retrain", "--set", "train.steps=0"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [["retrain"], ["data", "add", "somewhere"]])
def test_a_writing_verb_waits_for_nobody_while_another_holds_the_project(root: Path, verb: list[str]) -> None:
    with project_lock.hold(root, "kshot retrain"):
        ended = kshot(*verb, cwd=root)
    assert ended.returncode == 8
    assert f"`kshot retrain` (process {os.getpid()}) has been working in this project since" in ended.stderr


@pytest.mark.parametrize(
    ("raised", "code", "told"),
    [
        (KeyboardInterrupt(), 130, "interrupted; finished stages are stored"),
        (KshotError("two\nlines"), 1, "two lines"),
        (OSError(28, "No space left on device", "data/x"), 1, "the disk is full at data/x; free some space"),
        (
            OSError(122, "Disk quota exceeded", "card/x", None, "data/x"),
            1,
            "the disk is full at data/x; free some space",
        ),
        (shutil.Error([("a", "b", "[Errno 28] No space left on device: 'b'")]), 1, "the disk is full at b; free some"),
        (ZeroDivisionError("odd"), 1, "ZeroDivisionError: odd -- a defect"),
    ],
)
def test_whatever_goes_wrong_is_one_line(
    root: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    raised: BaseException,
    code: int,
    told: str,
) -> None:
    def broken(*_: object) -> None:
        raise raised

    monkeypatch.setattr("kshot.cli.retrain.change_settings", broken)
    assert cli.main(["retrain"]) == code
    error = capsys.readouterr().err
    assert error.startswith("kshot: error: ") and told in error and error.count("\n") == 1


@pytest.mark.parametrize("verb", ["tasks", "drift"])
def test_an_interrupted_command_that_stores_nothing_does_not_say_so(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kshot.lifecycle.sources.source_argument.check_exists", stopped)
    assert cli.main([verb, "photos"]) == 130
    assert capsys.readouterr().err == "kshot: error: interrupted; run the same command again\n"


def test_a_failed_retraining_says_which_changed_settings_stay(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failed(*_: object, **__: object) -> None:
        raise KshotError("it did not fit")

    monkeypatch.setattr("kshot.cli.retrain.start", failed)
    before = load_params(root / "params.yaml").train.steps
    assert cli.main(["retrain", "--set", "train.steps=77"]) == 1
    told = f"params.yaml keeps this change; to undo: kshot retrain --set train.steps={before}\n"
    assert told in capsys.readouterr().out
    assert load_params(root / "params.yaml").train.steps == 77
    assert cli.main(["retrain"]) == 1
    assert "params.yaml" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("setting", "code"), [("train.network.backbone=convnext4", 2), ("train.network.checkpoint=nowhere.safetensors", 5)]
)
def test_a_backbone_or_weights_that_are_not_there_are_not_written(
    root: Path, capsys: pytest.CaptureFixture[str], setting: str, code: int
) -> None:
    before = (root / "params.yaml").read_bytes()
    for command in (["retrain"], ["schedule", "--every", "1d"]):
        assert cli.main([*command, "--set", setting]) == code
        assert setting.rpartition("=")[2] in capsys.readouterr().err
    assert (root / "params.yaml").read_bytes() == before and not (root / ".kshot/schedule.json").exists()
