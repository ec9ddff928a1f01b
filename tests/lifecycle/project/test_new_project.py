"""`kshot init` writes a complete project from the installed files alone, and deletes no existing files."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kshot import cli
from kshot.lifecycle.params_file import kshot_version
from kshot.lifecycle.project import git, new_project
from kshot.params import project_name
from kshot.params.schema import load_params

REPOSITORY = Path(__file__).parents[3]
WITHOUT_PIPELINE = ("prefect", "dvc", "mlflow", "great_expectations", "pandas", "psutil", "ruamel", "torch", "timm")


def init(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.main(["init", *arguments])
    return code, *capsys.readouterr()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_a_project_has_its_name_its_settings_and_a_first_commit(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = init(capsys, "shop")
    assert (code, err) == (0, "") and "cd shop" in out
    root = here / "shop"
    assert load_params(root / "params.yaml").project == project_name.of(root) == "shop"
    tracked = set(git.text(root, "ls-files").split())
    assert tracked == {
        *(".dvc/.gitignore", ".dvc/config", ".dvcignore", ".gitignore", ".github/workflows/kshot.yaml"),
        *("README.md", "dvc.yaml", "params.yaml", "flows/retrain.py"),
    }
    assert git.text(root, "status", "--porcelain") == "" and len(git.text(root, "rev-list", "HEAD").split()) == 1
    assert "models:/shop@champion" in (root / "README.md").read_text()
    workflow = yaml.safe_load((root / ".github/workflows/kshot.yaml").read_text())
    commands = [step.get("run", "") for step in workflow["jobs"]["plan"]["steps"]]
    assert any("kshot plan" in one for one in commands) and any("kshot compare" in one for one in commands)


def test_git_without_a_name_makes_the_first_commit_all_the_same(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", str(here / "system"))
    (here / "system").write_text("[user]\n\tuseConfigOnly = true\n")
    assert init(capsys, "shop")[0] == 0
    assert git.text(here / "shop", "log", "--format=%an <%ae>").strip() == "kshot <kshot@localhost>"
    assert git.text(here / "shop", "config", "--list", "--local").count("user.") == 0


def test_without_git_the_project_is_made_and_dvc_works_in_it(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(here))
    code, out, _ = init(capsys, "shop")
    assert code == 0 and len([line for line in out.splitlines() if "there is no git on this machine" in line]) == 1
    from dvc.repo import Repo

    with Repo(str(here / "shop")) as repo:
        assert {stage.name for stage in repo.index.stages} >= {"ingest", "train"}


def test_a_folder_that_is_not_empty_is_refused_and_left_alone(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "shop").mkdir()
    assert init(capsys, "shop")[0] == 0  # an empty one is fine
    (here / "full").mkdir()
    (here / "full/mine.txt").write_text("mine")
    code, _, err = init(capsys, "full")
    assert code != 0 and err.count("\n") == 1 and "not empty; name another folder" in err
    assert [path.name for path in (here / "full").iterdir()] == ["mine.txt"]


def killed_at_commit(here: Path, name: str) -> None:
    """`kshot init`, killed before its first commit."""
    code = (
        "import os; from kshot.lifecycle.project import new_project; from pathlib import Path;"
        f"new_project.make(Path({name!r}), lambda: os.kill(os.getpid(), 9))"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=here, check=False, timeout=120)
    assert ended.returncode == -9 and (here / name / "params.yaml").is_file()


def test_the_same_command_begins_again_after_a_kill(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    killed_at_commit(here, "shop")
    assert init(capsys, "shop")[0] == 0
    assert subprocess.check_output(["git", "log", "--format=%s"], cwd=here / "shop", text=True) == "Project shop\n"
    assert not (here / "shop" / new_project.UNFINISHED).exists()


def test_files_of_a_person_in_an_unfinished_project_are_left_alone(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed_at_commit(here, "shop")
    (here / "shop/mine.txt").write_text("mine")
    code, _, err = init(capsys, "shop")
    assert code != 0 and "not empty; name another folder" in err and (here / "shop/mine.txt").read_text() == "mine"


def test_a_finished_project_is_refused_with_the_way_on(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(capsys, "shop")[0] == 0
    code, _, err = init(capsys, "shop")
    assert code != 0 and err.count("\n") == 1
    assert "is a project already" in err and "kshot data add FOLDER && kshot fit-settings --yes" in err


@pytest.mark.parametrize("name", ["a b", "_a", "-", "default"])
def test_what_is_no_name_makes_no_folder(here: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    code, _, err = init(capsys, "--", name)
    assert code != 0 and err.count("\n") == 1 and "is no name for a project" in err
    assert list(here.iterdir()) == []


def test_it_is_made_where_only_the_science_is_installed(here: Path) -> None:
    without = f"import sys; sys.modules.update(dict.fromkeys({WITHOUT_PIPELINE!r}))"
    code = f"{without}; from kshot import cli; sys.exit(cli.main(['init', 'shop']))"
    subprocess.run([sys.executable, "-c", code], cwd=here, check=True, capture_output=True, timeout=120)
    assert (here / "shop/dvc.yaml").is_file()


@pytest.mark.parametrize("name", ["2024", "null", "1e3", "2026-11-28", "a-much-longer-name-than-the-column"])
def test_a_name_that_yaml_takes_for_something_else_is_quoted(here: Path, name: str) -> None:
    new_project.make(here / name)
    found = load_params(here / name / "params.yaml")
    assert found.project == project_name.of(here / name) == name and isinstance(found.kshot, str)


def test_what_it_writes_is_what_this_repository_has() -> None:
    made = new_project.files("kshot")
    lines = [line for line in made["params.yaml"].splitlines(True) if not line.startswith("kshot:")]
    assert "".join(lines) == (REPOSITORY / "params.yaml").read_text()
    for name in ("flows/retrain.py", ".dvc/config"):
        assert made[name] == (REPOSITORY / name).read_text(), name
    # The repository alone has the template, whose stages DVC would list.
    own, ours = (text.splitlines() for text in (made[".dvcignore"], (REPOSITORY / ".dvcignore").read_text()))
    assert ours[: len(own)] == own and ours[-1] == "src/kshot/template"
    ours = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())
    for stage in ours["stages"].values():
        stage["deps"] = [path for path in stage["deps"] if not path.startswith("src/kshot/")]
    assert yaml.safe_load(made["dvc.yaml"]) == ours
    assert set(made[".gitignore"].splitlines()) <= set((REPOSITORY / ".gitignore").read_text().splitlines())
    assert len(made["dvc.yaml"].splitlines()) < 90 and len(made["README.md"].splitlines()) <= 10


def test_a_project_of_a_newer_kshot_is_refused_in_one_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new_project.make(here / "shop")
    kshot_version.require_not_older(here / "shop")
    params = here / "shop/params.yaml"
    text = params.read_text()
    params.write_text("kshot: 99.1\n" + "".join(one for one in text.splitlines(True) if not one.startswith("kshot:")))
    os.chdir(here / "shop")
    assert cli.main(["models"]) != 0
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "needs kshot 99.1" in err and "upgrade it" in err


def test_outside_a_project_the_command_and_the_nearest_projects_are_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "near/below").mkdir(parents=True)
    (here / "near/params.yaml").write_text("")
    new_project.make(here / "near/below/shop")
    os.chdir(here / "near/below")
    assert cli.main(["models"]) != 0
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "kshot init NAME" in err
    assert f"{here / 'near'} would be one, and lacks dvc.yaml" in err and "cd shop" in err


def test_a_project_inside_another_is_made_with_a_line_that_says_so(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    init(capsys, "outer")
    monkeypatch.chdir(here / "outer" / "flows")
    code, out, _ = init(capsys, "inner")
    assert code == 0
    assert out.startswith("inner lies inside the project outer, whose commits cannot hold it; put it elsewhere: mv ")
    assert git.text(here / "outer" / "flows" / "inner", "ls-files")
