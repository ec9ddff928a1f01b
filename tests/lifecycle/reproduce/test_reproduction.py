"""A champion is reproduced bit for bit in an empty clone; anything that differs is named."""

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

from kshot.errors import NotReproduced, ParamsError, RegistryError
from kshot.evaluation.inference import INFERENCE_FILE
from kshot.lifecycle.audit.subject import Subject, opened
from kshot.lifecycle.data import working_copy
from kshot.lifecycle.history import history
from kshot.lifecycle.project import layout
from kshot.lifecycle.registry import model_versions, registered_files
from kshot.lifecycle.reproduce import comparison, difference, reproduction, text, tree
from kshot.lifecycle.reproduce.comparison import Accuracy, Weights
from kshot.lifecycle.reproduce.difference import Difference
from kshot.lifecycle.reproduce.reproduction import IDENTICAL, OTHERWISE, WITHIN, Reproduction, StageAgain, reproduce
from kshot.lifecycle.tracking import store
from tests.flows import project
from tests.lifecycle import audited_project
from tests.lifecycle.audited_project import execute, flip


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    return subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The audited project, its data pushed to a remote that the repository names."""
    root = audited_project.copy(tmp_path_factory, tmp_path_factory.mktemp("rebuilt"))
    remote = f"    remote = far\n['remote \"far\"']\n    url = {root.parent / 'far'}\n"
    (root / ".dvc/config").write_text(f"[core]\n    analytics = false\n    check_update = false\n{remote}")
    git(root, "commit", "-qm", "a remote", ".dvc/config")
    working_copy.dvc(root, "push", "--quiet", layout.RAW_DVC.as_posix())
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Iterator[Path]:
    with audited_project.undone(made, tmp_path):
        yield made


def subject(root: Path, scratch: Path) -> Subject:
    scratch.mkdir()
    return opened(root, "1", scratch)


def run_file(root: Path, name: str) -> Path:
    return root / "mlruns/artifacts" / model_versions.find(root, "1").run_id / "artifacts" / name


def standing(root: Path) -> tuple[Any, ...]:
    """What a reproduction must leave as it is."""
    files = {path: path.read_bytes() for path in (root / "reports").rglob("*") if path.is_file()}
    cached = sorted(path for path in (root / ".dvc/cache").rglob("*"))
    return history.history(root), history.aliases(root), files, cached, git(root, "status", "--short")


CLONE = "import sys; from kshot import cli; code = cli.main({!r}); assert 'torch' not in sys.modules; sys.exit(code)"


def test_a_champion_is_built_again_bit_for_bit_in_an_empty_clone(made: Path, tmp_path: Path) -> None:
    before = standing(made)
    git(tmp_path, "clone", "-q", str(made), "clone")
    clone, where = tmp_path / "clone", f"sqlite:///{made / audited_project.DATABASE}"
    assert not (clone / "data/raw.dvc").exists() and not (clone / "mlruns").exists()
    ended = subprocess.run(
        [sys.executable, "-c", CLONE.format(["reproduce", "champion", "--json"])],
        cwd=clone,
        env={**project.environment(), "MLFLOW_TRACKING_URI": where},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["verdict"] == IDENTICAL and found["surroundings"] == [] and found["weights"]["as_trained"]
    assert [one["unlike"] for one in found["stages"]] == [[]] * 7
    assert [(one["protocol"], one["moved"], one["episodes"]) for one in found["accuracies"]] == [
        ("3w1s", 0, 20),
        ("5w2s", 0, 20),
    ]
    assert not list((clone / ".kshot").glob(f"{tree.NAME}*")) and len(git(clone, "worktree", "list").splitlines()) == 1
    assert not (clone / "data/raw").exists() and git(clone, "status", "--short") == ""
    assert standing(made) == before


def test_a_param_that_is_another_is_named_before_anything_is_trained(root: Path) -> None:
    path = run_file(root, "params.yaml")
    path.write_text(path.read_text().replace("steps: 20", "steps: 30"))
    with pytest.raises(NotReproduced, match="not what the stages read: train.steps: 20 there, 30 here; `kshot audit"):
        reproduce(root, "1")
    assert not list((root / ".kshot").glob(f"{tree.NAME}*"))


def test_code_that_is_another_is_named(root: Path) -> None:
    changed = root / "src/kshot/statistics.py"
    before = changed.read_text()
    changed.write_text(before + "\n# another\n")
    try:
        git(root, "stash", "push", "-q", "src")
        commit = git(root, "rev-parse", "stash@{0}").strip()
        execute(root, "update model_version_tags set value = ? where key = 'kshot.git_commit'", commit)
        with pytest.raises(NotReproduced, match=r"kshot/statistics.py: \w{8} there, \w{8} here"):
            reproduce(root, "1")
    finally:
        git(root, "stash", "drop", "-q")
        changed.write_text(before)


def test_what_is_missing_is_told(root: Path, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="there is no version '7'"):
        reproduce(root, "7")
    run_file(root, tree.code.PATCH).rename(tmp_path / "patch")
    with pytest.raises(NotReproduced, match="version 1 cannot be built again: .* keeps no uncommitted.diff"):
        reproduce(root, "1")
    (tmp_path / "patch").rename(run_file(root, tree.code.PATCH))
    execute(root, "update model_version_tags set value = ? where key = 'kshot.git_commit'", "0" * 40)
    with pytest.raises(NotReproduced, match="commit 0000000000 is not in this repository; fetch it from where"):
        reproduce(root, "1")


def test_data_that_is_gone_everywhere_is_told_and_nothing_is_left(root: Path, tmp_path: Path) -> None:
    left = root / ".kshot" / f"{tree.NAME}999999999-killed"
    left.mkdir()
    shutil.rmtree(root / ".dvc/cache")
    (root.parent / "far").rename(tmp_path / "far")
    try:
        told = "is neither in DVC's cache nor in a remote; it came from images: `kshot data add .../images`"
        with pytest.raises(NotReproduced, match=told):
            reproduce(root, "1")
    finally:
        (tmp_path / "far").rename(root.parent / "far")
        (root / ".dvc/cache").mkdir(exist_ok=True)
    assert not list((root / ".kshot").glob(f"{tree.NAME}*"))


def test_weights_are_compared_with_what_is_registered_and_with_what_was_trained(root: Path, tmp_path: Path) -> None:
    found = subject(root, tmp_path / "one")
    rebuilt = tmp_path / "tree" / layout.MODEL
    shutil.copytree(registered_files.model_files(root, "1", tmp_path / "registered"), rebuilt)
    (rebuilt / INFERENCE_FILE).unlink()
    same = comparison.weights(found, tmp_path / "tree")
    assert same.unlike == () and same.largest == 0 and same.as_trained
    weights = load_file(rebuilt / "embedding.safetensors")
    name = max(weights, key=lambda key: weights[key].size)
    weights[name] = weights[name] * 1.01
    save_file(weights, rebuilt / "embedding.safetensors")
    other = comparison.weights(found, tmp_path / "tree")
    assert other.unlike == ("embedding.safetensors",) and other.unlike_tensors == 1 and not other.as_trained
    assert other.largest == pytest.approx(0.01, rel=1e-3)


def test_a_model_whose_files_were_pruned_is_compared_by_what_was_trained(root: Path, tmp_path: Path) -> None:
    rebuilt = tmp_path / "tree" / layout.MODEL
    shutil.copytree(registered_files.model_files(root, "1", tmp_path / "registered"), rebuilt)
    (rebuilt / INFERENCE_FILE).unlink()
    store.client().set_model_version_tag("kshot", "1", model_versions.PRUNED, "2026-01-01")
    assert comparison.weights(subject(root, tmp_path / "one"), tmp_path / "tree").unlike == ()
    flip(rebuilt / "embedding.safetensors")
    found = comparison.weights(subject(root, tmp_path / "two"), tmp_path / "tree")
    assert "embedding.safetensors" in found.unlike and result(weights=found).verdict == OTHERWISE


def test_a_registered_file_that_was_changed_is_told_from_a_training_that_was(root: Path, tmp_path: Path) -> None:
    rebuilt = tmp_path / "tree" / layout.MODEL
    place = registered_files.model_files(root, "1", tmp_path / "registered")
    shutil.copytree(place, rebuilt)
    (rebuilt / INFERENCE_FILE).unlink()
    store.connect(root)
    source = str(store.client().get_model_version("kshot", "1").source).removeprefix("models:/")
    flip(root / "mlruns/artifacts/models" / source / "artifacts/artifacts/embedding/embedding.safetensors")
    found = comparison.weights(subject(root, tmp_path / "one"), tmp_path / "tree")
    assert found.unlike == ("embedding.safetensors",) and found.as_trained
    assert "the registered files are others" in text.verdict(result(weights=found))


ALIKE = Weights(("embedding.safetensors",), (), 3, 0, 0.0, True)
APART = Weights(("embedding.safetensors",), ("embedding.safetensors",), 3, 2, 0.25, False)
OLDER = (Difference("torch", "2.14.0", "2.15.0"),)


def result(weights: Weights = ALIKE, moved: float = 0.0, surroundings: tuple[Difference, ...] = ()) -> Reproduction:
    return Reproduction(
        version="1",
        run_id="r",
        data_version="d",
        commit="c",
        stages=(StageAgain("split", 1.0, ()), StageAgain("train", 1.0, ("model",) if weights.unlike else ())),
        weights=weights,
        accuracies=(Accuracy("5w1s", 0.9, 0.9 + moved, int(moved != 0), 100),),
        surroundings=surroundings,
        tolerance=0.01,
    )


def test_a_tolerance_is_given_elsewhere_and_not_on_the_same_kind_of_machine() -> None:
    assert result().verdict == IDENTICAL and result(surroundings=OLDER).verdict == IDENTICAL
    assert result(APART).verdict == OTHERWISE and result(APART, surroundings=OLDER).verdict == WITHIN
    assert result(APART, 0.01, OLDER).verdict == WITHIN and result(APART, -0.011, OLDER).verdict == OTHERWISE
    assert (
        result(moved=1e-3).verdict == OTHERWISE and result(moved=float("nan"), surroundings=OLDER).verdict == OTHERWISE
    )


def test_the_words_name_what_differs() -> None:
    told = text.render_reproduction(result(APART, 0.005, OLDER))
    assert "2 of 3 tensors differ, by up to 2.5e-01" in told and "torch: 2.14.0 there, 2.15.0 here" in told
    assert "not identical: 5w1s 90.50 % (+0.50 pp); 1 of 100 episodes predicted differently" in told
    assert "reproduced within 1.00 pp of accuracy, not bit for bit" in told
    assert "differs, first in what stage train wrote (model), and the machine is of" in text.verdict(result(APART))


def test_differences_of_the_machine_are_named_with_the_packages_that_matter_first() -> None:
    here = {
        **{"python": "3.11.7", "system": "Linux-6.1-x86_64-with-glibc2.36", "machine": "x86_64", "threads": "1"},
        **{"processor": "A", "cores": 2, "packages": {"Zlib": "1", "torch": "2.15.0", "alpha": "1"}},
    }
    assert difference.surroundings(here, {**here, "system": "Linux-6.9-x86_64-with-glibc2.36"}, ("cpu", "cpu")) == ()
    other = {**here, "threads": "", "processor": "B", "packages": {"zlib": "1", "torch": "2.14.0", "pip": "1"}}
    found = difference.surroundings(here, other, ("cuda", "cpu"))
    assert [one.what for one in found] == ["device", "processor", "threads", "accelerators", "torch", "alpha"]
    assert str(found[2]) == "threads: 1 there, those of 2 cores here" and found[-1].here == "nothing"
    old = {key: value for key, value in here.items() if key != "processor"}
    assert [one.there for one in difference.surroundings(old, here, ("cpu", "cpu"))] == [difference.UNKNOWN]


def test_the_stages_get_the_threads_of_then_and_the_code_of_the_worktree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    found = difference.environment({"threads": "3"}, "cpu", tmp_path)
    assert found["OMP_NUM_THREADS"] == "3" and found["CUDA_VISIBLE_DEVICES"] == ""
    assert found["PYTHONPATH"].split(":") == [str(tmp_path / "src"), str(tmp_path), "elsewhere"]
    assert "OMP_NUM_THREADS" not in difference.environment({"threads": ""}, "cuda", tmp_path)


def test_a_tolerance_that_is_none_is_refused(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kshot import cli

    monkeypatch.chdir(made)
    assert cli.main(["reproduce", "1", "--tolerance", "-1"]) == ParamsError.exit_code


def test_a_reproduction_is_a_value_that_programs_read() -> None:
    found = json.loads(text.to_json(result(APART, surroundings=OLDER)))
    assert found["verdict"] == WITHIN and found["surroundings"] == [dataclasses.asdict(OLDER[0])]
    assert reproduction.TOLERANCE == 0.01
