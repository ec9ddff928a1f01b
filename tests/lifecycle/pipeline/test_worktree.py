"""A worktree prepared by real git and DVC: shared files, separate files, and files that are copied back."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from dvc.config import Config

from kshot.errors import DataError, ParamsError
from kshot.flows import at_commit
from kshot.lifecycle.data import data_versions
from kshot.lifecycle.data.changes import add_version
from kshot.lifecycle.pipeline import worktree
from kshot.lifecycle.project import layout
from kshot.lifecycle.tracking import lineage, store
from kshot.params import project_name
from kshot.params.schema import load_params
from kshot.serve.actions.compared_galleries import may_have_galleries
from tests.lifecycle import raw_project


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    return subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with data version one in its commit, version two beside it, and a remote with a relative address."""
    folder = tmp_path_factory.mktemp("worktree")
    home = raw_project.make(folder / "home")
    (home / "mlruns").mkdir()
    (home / "mlruns/README.md").write_text("MLflow's store\n")
    (home / ".gitignore").write_text((raw_project.REPOSITORY / ".gitignore").read_text())
    (home / ".dvc/config").write_text(
        "[core]\n    analytics = false\n    remote = far\n['remote \"far\"']\n    url = ../far\n"
    )
    add_version.add(home, str(raw_project.write_tree(folder / "one", {"a": 2, "b": 2})))
    git(home, "add", ".")
    git(home, "commit", "-qm", "one")
    add_version.add(home, str(raw_project.write_tree(folder / "two", {"a": 3, "b": 3})))
    return home


@pytest.fixture
def tree(home: Path):  # type: ignore[no-untyped-def]
    with at_commit.checked_out(home, at_commit.resolve(home, "HEAD")) as tree:
        yield tree


def prepare(
    home: Path, tree: Path, data: str | None = None, from_commit: bool = False, sets: tuple[str, ...] = ()
) -> None:
    worktree.prepare(home, tree, data=data, from_commit=from_commit, sets=sets)


def test_images_are_links_to_the_cache_and_nothing_else_becomes_one(home: Path, tree: Path) -> None:
    clone = ["cp", "--reflink=always", home / layout.RAW_DVC, home.parent / "clone"]
    if subprocess.run(clone, check=False, capture_output=True).returncode == 0:
        pytest.skip("this file system copies without taking space")
    prepare(home, tree)
    images = list((tree / layout.RAW).rglob("*.png"))
    assert {path.stat().st_nlink for path in images} == {2} and len(images) == 6
    assert "type" not in Config(str(tree / ".dvc"), validate=False).read()["cache"]
    assert {path.stat().st_nlink for path in (home / layout.RAW).rglob("*.png")} == {1}


def test_weights_that_no_commit_holds_are_found(home: Path, tree: Path) -> None:
    (home / "start.safetensors").write_bytes(b"weights")
    prepare(home, tree, sets=("train.network.checkpoint=start.safetensors",))
    assert (tree / "start.safetensors").read_bytes() == b"weights"
    assert load_params(tree / "params.yaml").train.network.checkpoint_md5 == hashlib.md5(b"weights").hexdigest()


def test_weights_other_than_the_commits_are_not_taken_for_its_own(home: Path, tree: Path) -> None:
    """The stage refuses them then."""
    shipped = (tree / "params.yaml").read_text()
    named = shipped.replace("checkpoint: null ", "checkpoint: start.safetensors ").replace("md5: null ", "md5: 0a ")
    (tree / "params.yaml").write_text(named)
    (home / "start.safetensors").write_bytes(b"weights")
    prepare(home, tree)
    assert (tree / "params.yaml").read_text() == named


def test_it_has_the_projects_data_version_its_cache_and_its_remote(home: Path, tree: Path) -> None:
    prepare(home, tree)
    assert data_versions.current(tree) == data_versions.current(home) == data_versions.versions(home)[1]
    assert len(list((tree / "data/raw/images").rglob("*.png"))) == 6
    assert not (tree / ".dvc/cache").exists()
    remote = subprocess.run(
        [sys.executable, "-m", "dvc", "remote", "list"], cwd=tree, check=True, capture_output=True, text=True
    ).stdout
    assert remote.split()[:2] == ["far", str(home / "far")]


def test_with_a_commit_named_it_has_the_commits_data_version(home: Path, tree: Path) -> None:
    prepare(home, tree, from_commit=True)
    assert data_versions.current(tree) == data_versions.versions(home)[0]
    # What is in no commit of the worktree is known there all the same.
    assert data_versions.versions(tree) == data_versions.versions(home)


def test_a_version_by_name_goes_before_both(home: Path, tree: Path) -> None:
    first = data_versions.versions(home)[0]
    prepare(home, tree, data=first.short)
    assert data_versions.current(tree) == first
    with pytest.raises(DataError, match="is no data version here"):
        data_versions.find(tree, "0000")


def test_it_is_clean_for_git_although_mlruns_is_the_projects(home: Path, tree: Path) -> None:
    prepare(home, tree)
    assert not may_have_galleries(tree) and not (home / ".kshot/serve").exists(), "none is made"
    assert lineage.git_state(tree) == (git(home, "rev-parse", "HEAD").strip(), False)
    assert store.uri(tree) == store.uri(home)
    (tree / ".kshot/registry.lock").touch()
    assert (home / ".kshot/registry.lock").exists()
    assert not (tree / ".kshot/lock").is_symlink()


def test_settings_of_the_schedule_are_written_there_only_and_count_as_a_change(home: Path, tree: Path) -> None:
    before = (home / "params.yaml").read_bytes()
    prepare(home, tree, sets=("train.steps=7",))
    assert yaml.safe_load((tree / "params.yaml").read_text())["train"]["steps"] == 7
    assert (home / "params.yaml").read_bytes() == before
    assert lineage.git_state(tree)[1]


def test_a_commit_from_before_the_project_was_named_is_one_of_the_project(home: Path, tree: Path) -> None:
    before = (home / "params.yaml").read_text()
    (home / "params.yaml").write_text(before.replace("project: kshot ", "project: '2024' "))
    try:
        prepare(home, tree)
    finally:
        (home / "params.yaml").write_text(before)
    assert project_name.of(tree) == load_params(tree / "params.yaml").project == "2024"


def test_a_wrong_setting_is_refused(home: Path, tree: Path) -> None:
    with pytest.raises(ParamsError, match="train.steps is 0"):
        prepare(home, tree, sets=("train.steps=0",))


def test_what_it_leads_to_outlives_it(home: Path) -> None:
    (home / ".kshot/serve").mkdir()
    (home / ".kshot/serve/galleries.db").touch()
    with at_commit.checked_out(home, at_commit.resolve(home, "HEAD")) as tree:
        prepare(home, tree)
        (tree / "mlruns/kept").write_text("kept")
        (tree / ".kshot/checkpoints/one").mkdir()
        assert may_have_galleries(tree)  # which gate.gallery_margin compares
    assert not tree.exists()
    assert may_have_galleries(home)
    assert (home / "mlruns/kept").read_text() == "kept" and (home / ".kshot/checkpoints/one").is_dir()
    assert "worktree" not in git(home, "worktree", "list").replace(str(home), "")


def test_the_report_and_how_it_came_about_come_back_whole(home: Path, tree: Path) -> None:
    (home / worktree.BROUGHT_BACK).mkdir(parents=True, exist_ok=True)
    (home / worktree.BROUGHT_BACK / "older").touch()
    (tree / "reports").mkdir()
    (tree / layout.REPORT).write_text("<html>")
    (tree / layout.METRICS).write_text(json.dumps({}))
    (tree / "dvc.lock").write_text("schema: '2.0'\n")
    place = worktree.bring_back(home, tree)
    assert {path.name for path in place.iterdir()} == {
        "report.html",
        "metrics.json",
        "dvc.lock",
        "params.yaml",
        "raw.dvc",
    }
    assert not (home / layout.REPORT).exists()
