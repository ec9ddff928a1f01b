"""The code files that a stage reads: which edit reaches which stage, and that no import is missed."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import kshot
from kshot.errors import StageFailed
from kshot.lifecycle.stages import code_read
from kshot.lifecycle.tracking import code_closure

SOURCE = Path(kshot.__file__).parents[1]
STAGES = ("ingest", "split", "validate", "episodes", "embed", "train", "evaluate")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """kshot in a folder like site-packages, which counts as the one that is imported."""
    place = tmp_path / "site-packages"
    shutil.copytree(SOURCE / "kshot", place / "kshot", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(kshot, "__file__", str(place / "kshot/__init__.py"))
    return place


def changed(root: Path, edit: Callable[[], object]) -> dict[str, list[str]]:
    """Stage to the files whose fingerprints an edit changes; stages that it does not reach are left out."""
    before = {stage: code_read.fingerprints(root, stage) for stage in STAGES}
    edit()
    after = {stage: code_read.fingerprints(root, stage) for stage in STAGES}
    found = {}
    for stage in STAGES:
        then, now = before[stage], after[stage]
        if names := sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name)):
            found[stage] = names
    return found


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("losses/triplet.py", ["train", "evaluate"]),
        ("methods/maml.py", ["train", "evaluate"]),
        ("classifiers/pt_map.py", ["evaluate"]),
        ("classifiers/logistic_regression.py", ["evaluate"]),
        ("evaluation/open_set.py", ["evaluate"]),
        ("training/learning_rates.py", ["train"]),
        ("data/augment.py", ["train"]),
        ("data/crop.py", ["ingest"]),
        ("lifecycle/validation/text.py", ["validate"]),
        ("nets/backbones/conv.py", ["embed", "train", "evaluate"]),
        ("lifecycle/stages/entry.py", list(STAGES)),
        ("lifecycle/gate/gate_text.py", []),
        ("cli/plan.py", []),
        ("lifecycle/audit/text.py", []),
        ("estimator/load_model.py", []),
    ],
)
def test_an_edit_reaches_the_stages_that_use_the_file(
    installed: Path, tmp_path: Path, name: str, stages: list[str]
) -> None:
    def edit() -> None:
        with (installed / "kshot" / name).open("a") as file:
            file.write("\n# edited\n")

    assert changed(tmp_path, edit) == {stage: [f"kshot/{name}"] for stage in stages}


def test_a_new_import_is_followed_and_a_package_without_code_is_left_out(installed: Path, tmp_path: Path) -> None:
    (installed / "kshot/fresh").mkdir()
    (installed / "kshot/fresh/__init__.py").write_text('"""Nothing."""\n')
    (installed / "kshot/fresh/one.py").write_text("from . import two\n")
    (installed / "kshot/fresh/two.py").write_text("")

    def edit() -> None:
        with (installed / "kshot/data/crop.py").open("a") as file:
            file.write("\ndef late():\n    try:\n        import kshot.fresh.one\n    except OSError:\n        pass\n")
        (installed / "kshot/fresh/two.py").write_text("two = 2\n")

    assert changed(tmp_path, edit) == {"ingest": ["kshot/data/crop.py", "kshot/fresh/one.py", "kshot/fresh/two.py"]}


def test_a_name_that_a_package_imports_on_first_use_is_followed(installed: Path, tmp_path: Path) -> None:
    def edit() -> None:
        with (installed / "kshot/data/crop.py").open("a") as file:
            file.write("\nfrom kshot.classifiers import pt_map_scores\n")

    assert "kshot/classifiers/pt_map.py" in changed(tmp_path, edit)["ingest"]


def test_code_of_the_project_lies_in_its_src_and_never_hides_the_kshot_that_is_imported(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "src/shop").mkdir(parents=True)
    (tmp_path / "src/shop/loss.py").write_text("one = 1\n")
    (tmp_path / "src/kshot").mkdir()
    (tmp_path / "src/kshot/errors.py").write_text("another = 1\n")
    found = code_closure.closure("shop.loss", code_closure.folders(tmp_path))
    assert found == {"shop/loss.py": hashlib.md5(b"one = 1\n").hexdigest()}
    expected = hashlib.md5((installed / "kshot/errors.py").read_bytes()).hexdigest()
    assert code_read.fingerprints(tmp_path, "train")["kshot/errors.py"] == expected


def test_packages_installed_beside_kshot_are_not_read(installed: Path, tmp_path: Path) -> None:
    (installed / "numpy").mkdir()
    (installed / "numpy/__init__.py").write_text("one = 1\n")
    assert all(name.startswith("kshot/") for name in code_read.fingerprints(tmp_path, "train"))


def test_a_file_of_fingerprints_is_rewritten_only_when_code_changed(installed: Path, tmp_path: Path) -> None:
    code_read.refresh(tmp_path, "ingest")
    path = tmp_path / code_read.place_of("ingest")
    written, held = path.stat(), json.loads(path.read_text())
    assert held == code_read.fingerprints(tmp_path, "ingest") and list(held) == sorted(held)
    code_read.refresh(tmp_path, "ingest")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    (installed / "kshot/data/crop.py").write_text("")
    code_read.refresh(tmp_path, "ingest")
    assert json.loads(path.read_text()) != held


def test_a_file_that_is_no_python_is_named(installed: Path, tmp_path: Path) -> None:
    (installed / "kshot/data/crop.py").write_text("def (\n")
    with pytest.raises(StageFailed, match="kshot/data/crop.py is no Python that can be run: .*line 1.*; repair it"):
        code_read.fingerprints(tmp_path, "ingest")


@pytest.mark.parametrize("stage", ["train", "evaluate", "validate"])
def test_what_python_imports_for_a_stage_is_among_its_fingerprints(stage: str, tmp_path: Path) -> None:
    ask = (
        f"import sys, kshot.lifecycle.stages.{stage}; "
        "print(*(one.__file__ for name, one in sys.modules.items() if name.split('.')[0] == 'kshot'))"
    )
    ended = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    files = {Path(file).relative_to(SOURCE).as_posix() for file in ended.stdout.split()}
    named = code_read.fingerprints(tmp_path, stage)
    empty = {name for name in files if not code_closure.parsed((SOURCE / name).read_bytes())[1]}
    assert files - empty - set(named) == set()
    assert len(files & set(named)) > 20


def test_no_code_of_a_stage_imports_by_a_name_that_nobody_can_follow() -> None:
    for stage in STAGES:
        for name in code_read.fingerprints(Path(), stage):
            text = (SOURCE / name).read_text(encoding="utf-8")
            lazy = (SOURCE / name).with_suffix(".pyi").is_file()
            assert lazy or not ("import_module" in text or "__import__" in text), f"{stage}: {name}"


def test_a_stage_that_dvc_starts_alone_writes_down_the_code_that_it_runs(installed: Path, tmp_path: Path) -> None:
    path = tmp_path / code_read.place_of("ingest")
    code_read.renew(tmp_path, "ingest")
    assert not path.exists()
    code_read.refresh(tmp_path, "ingest")
    written = path.stat().st_ino
    code_read.renew(tmp_path, "ingest")
    assert path.stat().st_ino == written
    (installed / "kshot/data/crop.py").write_text("edited = 1\n")
    code_read.renew(tmp_path, "ingest")
    assert json.loads(path.read_text())["kshot/data/crop.py"] == hashlib.md5(b"edited = 1\n").hexdigest()
