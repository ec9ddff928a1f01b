import dataclasses
from pathlib import Path

import pytest

from kshot.errors import RegistryError
from kshot.lifecycle.tracking import installed
from kshot.lifecycle.tracking.lineage import (
    Code,
    code_state,
    environment,
    git_state,
    ingested,
    lineage,
    require_recorded,
)
from tests.lifecycle import finished_project
from tests.lifecycle.finished_project import DATA, commit, write_lock


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_project.write(tmp_path_factory.mktemp("project"))


@pytest.fixture
def root(written: Path) -> Path:
    write_lock(written)
    return written


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/code.py").write_text("one = 1\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/raw.dvc").write_text("old")
    write_lock(tmp_path)
    commit(tmp_path)
    return tmp_path


def test_equal_inputs_have_an_equal_key_whatever_came_out(root: Path) -> None:
    first = lineage(root)
    write_lock(root, seconds="b")
    second = lineage(root)
    assert first.key == second.key and len(first.key) == 16
    assert first.dvc_lock_hash != second.dvc_lock_hash


def test_another_input_or_param_has_another_key(root: Path) -> None:
    first = lineage(root)
    write_lock(root, steps=30)
    longer = lineage(root)
    write_lock(root, data="f" * 32)
    other = lineage(root)
    assert len({first.key, longer.key, other.key}) == 3
    assert first.params_hash != longer.params_hash and first.params_hash == other.params_hash


def test_data_version_episodes_and_device_are_named(root: Path) -> None:
    found = lineage(root)
    assert (found.data_version, found.episodes_hash, found.device) == (DATA, "e.dir", "cpu")
    assert ingested(root) == DATA


def test_every_field_is_a_tag(root: Path) -> None:
    plugins = {"kshot-extra": installed.Package("1.2.0", installed.WHEEL)}
    found = dataclasses.replace(lineage(root), processes="2", plugins=plugins)
    inner = (*dataclasses.fields(found.code), *dataclasses.fields(found.package))
    assert len(found.tags()) == len(dataclasses.fields(found)) - 2 + len(inner)
    assert found.tags()["kshot.plugins"] == '{"kshot-extra": ["1.2.0", "wheel"]}'
    assert found.tags()["kshot.lineage"] == found.key and found.tags()["kshot.git_dirty"] == "true"
    assert all(name.startswith("kshot.") and isinstance(value, str) for name, value in found.tags().items())


def test_without_any_stage_the_error_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="no stage was run; run `kshot retrain`"):
        lineage(tmp_path)
    assert ingested(tmp_path) == ""


def test_a_damaged_lock_is_told(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text("stages: [")
    with pytest.raises(RegistryError, match="dvc.lock is damaged; "):
        lineage(tmp_path)


def test_a_folder_without_git_has_no_commit_and_says_why(tmp_path: Path) -> None:
    found = code_state(tmp_path)
    assert (found.commit, found.dirty) == ("", True) and "is in no git repository" in found.unrecorded
    assert found.tags()["kshot.unrecorded"] == found.unrecorded


def test_code_without_a_commit_needs_leave(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    without = code_state(tmp_path_factory.mktemp("without"))
    with pytest.raises(
        RegistryError, match="cannot be recorded: .* is in no git repository.*; or continue with --allow"
    ):
        require_recorded(without, allowed=False)
    require_recorded(without, allowed=True)
    require_recorded(code_state(repository), allowed=False)


def test_the_code_is_that_of_the_beginning_when_somebody_commits_meanwhile(root: Path) -> None:
    before = Code("a" * 40, False)
    assert lineage(root, before).tags()["kshot.git_commit"] == "a" * 40


def test_a_committed_tree_is_clean_also_after_a_retraining_wrote_its_own_files(repository: Path) -> None:
    commit_id, dirty = git_state(repository)
    assert len(commit_id) == 40 and not dirty
    write_lock(repository, steps=99)
    (repository / "data/raw.dvc").write_text("new")
    assert git_state(repository) == (commit_id, False)


def test_the_environment_names_packages_interpreter_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = environment()
    assert found["threads"] == "3" and found["python"].startswith("3.")
    assert {"mlflow", "torch", "numpy"} <= set(found["packages"])
