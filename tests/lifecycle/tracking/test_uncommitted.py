"""Uncommitted code is stored, all other uncommitted files are named, and ignored files are neither."""

import subprocess
from pathlib import Path

import pytest
import yaml

from kshot.lifecycle.project import git
from kshot.lifecycle.tracking.lineage import git_state
from kshot.lifecycle.tracking.uncommitted import CODE, Uncommitted, code_patterns, difference
from tests.lifecycle.finished_project import REPOSITORY, commit, write_lock

SECRET = "geheim-Zd81"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/code.py").write_text("one = 1\n")
    (tmp_path / "notes.md").write_text("notes\n")
    write_lock(tmp_path)
    commit(tmp_path)
    return tmp_path


def test_a_clean_tree_has_no_difference(repository: Path) -> None:
    write_lock(repository, steps=99)  # which a retraining writes
    assert difference(repository) == Uncommitted() and not git_state(repository)[1]


def test_the_link_to_the_records_is_no_change(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (repository / "mlruns").symlink_to(tmp_path_factory.mktemp("home"))
    assert difference(repository) == Uncommitted()


def test_edited_and_new_code_is_stored_byte_by_byte(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (repository / "src/code.py").write_bytes(b"one = 2  # \xff\n")
    (repository / "src/ny fil å.py").write_text("two = 2\n")
    found = difference(repository)
    assert git_state(repository)[1] and found.left_out == ()
    other = tmp_path_factory.mktemp("clone")
    subprocess.run(["git", "clone", "-q", str(repository), str(other)], check=True)
    git.run(other, "apply", stdin=found.patch)
    assert (other / "src/code.py").read_bytes() == b"one = 2  # \xff\n"
    assert (other / "src/ny fil å.py").read_text() == "two = 2\n"


def test_secrets_are_named_and_not_stored_tracked_or_not(repository: Path) -> None:
    for name in ("secrets.yaml", "config/prod.yaml", "src/key.pem", "notes.md"):
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).write_text(f"password: {SECRET}\n")
    (repository / "src/code.py").write_text("one = 2\n")
    found = difference(repository)
    assert found.left_out == ("config/prod.yaml", "notes.md", "secrets.yaml", "src/key.pem")
    assert SECRET.encode() not in found.patch and b"+one = 2" in found.patch
    assert not git.text(repository, "diff", "--cached")  # nothing was put into a person's index


def test_what_git_ignores_is_neither_stored_nor_named(repository: Path) -> None:
    with (repository / ".gitignore").open("a") as file:
        file.write(".env\nlocal_*.py\n")
    subprocess.run(["git", "commit", "-qam", "ignored"], cwd=repository, check=True, env=_ada())
    (repository / ".env").write_text(SECRET)
    (repository / "local_settings.py").write_text(SECRET)
    assert difference(repository) == Uncommitted() and not git_state(repository)[1]


def test_a_person_says_which_files_are_code(repository: Path) -> None:
    (repository / "params.yaml").write_text(yaml.safe_dump({"record": {"code": ["*.py", "configs/*.json"]}}))
    (repository / "configs").mkdir()
    (repository / "configs/net.json").write_text("{}\n")
    (repository / "net.json").write_text("{}\n")
    found = difference(repository)
    assert b"configs/net.json" in found.patch and found.left_out == ("net.json", "params.yaml")


def test_the_default_is_what_the_shipped_settings_say(tmp_path: Path) -> None:
    assert code_patterns(REPOSITORY) == CODE == code_patterns(tmp_path)
    (tmp_path / "params.yaml").write_text("record: [")  # told by whoever needs it
    assert code_patterns(tmp_path) == CODE


def test_a_large_new_file_is_named_only(repository: Path) -> None:
    (repository / "table.py").write_bytes(b"#" * (1 << 21))
    assert difference(repository) == Uncommitted(b"", ("table.py",))


def _ada() -> dict[str, str]:
    names = {f"GIT_{who}_{what}": "ada" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {"PATH": "/usr/bin:/bin:/usr/local/bin", **names}
