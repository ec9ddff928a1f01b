"""The link `code`: by the commit, by the installed wheel, and by the records of older versions."""

import hashlib
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kshot.lifecycle.audit.links.code import code
from kshot.lifecycle.audit.subject import Subject
from kshot.lifecycle.project.broken import Broken, NotChecked, NotRecorded
from kshot.lifecycle.tracking import installed
from tests import plugin_distribution
from tests.lifecycle.installed_wheel import install

ERRORS, LOSS, PLUGIN = "kshot/errors.py", "shop/loss.py", "kshot-extra:extra/loss.py"
PROXIES = "kshot-extra:extra/proxies.py"
FILES = {"kshot/__init__.py": "", ERRORS: "one = 1\n"}
TEXTS = {**FILES, LOSS: "two = 2\n", PLUGIN: "three = 3\n", PROXIES: "four = 4\n"}


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def fingerprints(*names: str) -> dict[str, Any]:
    """A stage of dvc.lock that read these files."""
    read = {name: md5(TEXTS[name]) for name in names}
    return {"cmd": "train", "params": {"fingerprints/train.json": read, "params.yaml": {"train": {"steps": 1}}}}


def listed(*names: str) -> dict[str, Any]:
    """The same as older versions wrote it."""
    deps = [{"path": f"src/{name}", "hash": "md5", "md5": md5(TEXTS[name]), "size": 1} for name in names]
    return {"cmd": "train", "deps": [{"path": "data/packed", "md5": "p.dir", "size": 1}, *deps]}


def commit(root: Path, *names: str) -> str:
    """The project's commit, which holds these files in src/."""
    for name in names:
        (root / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "src" / name).write_text(TEXTS[name])
    (root / "params.yaml").write_text("train: {steps: 1}\n")
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run(["git", *identity, *command], cwd=root, check=True)
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, check=True, capture_output=True, text=True).stdout


def subject(root: Path, at: str, stage: dict[str, Any], by: installed.Package = installed.UNKNOWN) -> Subject:
    tags = {"kshot.git_commit": at.strip(), "kshot.git_dirty": "false", **by.tags()}
    made = Subject(root, "1", tags, "gone", datetime.now(UTC), None, {}, None, "", root / ".git/scratch")
    made.__dict__["lock"] = {"train": stage}  # as if it had been read of a run
    return made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    place = tmp_path / "project"
    place.mkdir()
    return place


def wheel(version: str) -> installed.Package:
    return installed.Package(version, installed.WHEEL)


def test_a_clone_gives_the_code_by_its_commit(root: Path) -> None:
    at, by = commit(root, ERRORS, LOSS), installed.Package("3.4.5", installed.SOURCE)
    assert code(subject(root, at, fingerprints(ERRORS, LOSS), by)) == f"commit {at[:7]}: all 2 code files match"
    stage = fingerprints(ERRORS, LOSS)
    stage["params"]["fingerprints/train.json"][ERRORS] = "0" * 32
    with pytest.raises(Broken, match="does not give the code that the stages read: kshot/errors.py is not as recorded"):
        code(subject(root, at, stage, by))


def test_a_version_that_older_versions_recorded_is_still_checked_by_its_commit(root: Path) -> None:
    at = commit(root, ERRORS)
    assert code(subject(root, at, listed(ERRORS))) == f"commit {at[:7]}: all 1 code files match"
    (root / "src" / ERRORS).write_text("another = 1\n")
    other = commit(root)
    stage = listed(ERRORS)
    stage["deps"][1]["md5"] = "0" * 32
    with pytest.raises(Broken, match="src/kshot/errors.py is not as recorded"):
        code(subject(root, other, stage))


def test_the_wheel_that_made_it_gives_the_code_and_the_commit_the_projects_own(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = commit(root, LOSS)
    install(tmp_path, monkeypatch, "3.4.5", FILES)
    made = subject(root, at, fingerprints(ERRORS, LOSS), wheel("3.4.5"))
    files = "kshot 3.4.5: all 1 code files match those installed here, which are those of its wheel"
    assert code(made) == f"commit {at[:7]}: all 1 code files match; {files}"
    assert code(subject(root, at, fingerprints(ERRORS), wheel("3.4.5"))) == f"commit {at[:7]}; {files}"
    stage = fingerprints(ERRORS, LOSS)
    stage["params"]["fingerprints/train.json"][LOSS] = "0" * 32
    with pytest.raises(Broken, match="shop/loss.py is not as recorded"):
        code(subject(root, at, stage, wheel("3.4.5")))


def test_another_version_that_is_installed_leaves_it_unchecked_and_names_the_one_that_is_needed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = commit(root, LOSS)
    install(tmp_path, monkeypatch, "4.0.0", {**FILES, ERRORS: "another = 1\n"})
    with pytest.raises(NotChecked, match="kshot 3.4.5 .* made it, and kshot 4.0.0 .*kshot/errors.py differs;.*==3.4.5"):
        code(subject(root, at, fingerprints(ERRORS, LOSS), wheel("3.4.5")))
    gone = fingerprints(ERRORS)
    gone["params"]["fingerprints/train.json"]["kshot/gone.py"] = "0" * 32
    with pytest.raises(NotChecked, match="differ"):
        code(subject(root, at, gone, wheel("3.4.5")))


def test_another_version_with_the_same_files_gives_the_code(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = commit(root)
    install(tmp_path, monkeypatch, "4.0.0", FILES)
    assert "kshot 3.4.5: all 1 code files match" in code(subject(root, at, fingerprints(ERRORS), wheel("3.4.5")))


def test_the_same_version_with_other_files_is_broken_unless_they_were_edited_here(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = commit(root)
    place = install(tmp_path, monkeypatch, "3.4.5", {**FILES, ERRORS: "another = 1\n"})
    with pytest.raises(Broken, match="the wheel of kshot 3.4.5 that is installed here does not give the code"):
        code(subject(root, at, fingerprints(ERRORS), wheel("3.4.5")))
    (place / ERRORS).write_text("edited = 1\n")
    with pytest.raises(NotChecked, match=r"kshot 3.4.5 \(edited wheel\) is installed here"):
        code(subject(root, at, fingerprints(ERRORS), wheel("3.4.5")))
    with pytest.raises(NotRecorded, match="whose files had been edited, and they were not stored: kshot/errors.py"):
        code(subject(root, at, fingerprints(ERRORS), installed.Package("3.4.5", installed.EDITED)))


def with_plugin(root: Path, at: str, state: str = installed.WHEEL) -> Subject:
    """A version whose training read a loss of a distribution."""
    stage = fingerprints(LOSS, PLUGIN, PROXIES)
    stage["params"]["fingerprints/train.json"]["theirs = extra.loss:theirs"] = "0" * 32
    made = subject(root, at, stage)
    made.tags.update(installed.plugin_tags({"kshot-extra": installed.Package("1.2.0", state)}))
    return made


def test_a_distribution_with_a_plugin_gives_its_files_and_the_commit_the_projects_own(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = commit(root, LOSS)
    install_plugin(tmp_path, monkeypatch, "1.2.0")
    assert code(with_plugin(root, at)) == (
        f"commit {at[:7]}: all 1 code files match; "
        "kshot-extra 1.2.0: all 2 code files match those installed here, which are those of its wheel"
    )


def test_a_distribution_that_is_missing_or_of_another_version_is_named_with_the_remedy(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = commit(root, LOSS)
    with pytest.raises(NotChecked, match=r"kshot-extra is not installed here; .* pip install kshot-extra==1.2.0"):
        code(with_plugin(root, at))
    install_plugin(tmp_path, monkeypatch, "2.0.0", "other = 1\n")
    with pytest.raises(NotChecked, match=r"kshot-extra 2.0.0 \(wheel\) .* extra/loss.py differs; .*==1.2.0"):
        code(with_plugin(root, at))


def test_a_file_of_a_distribution_that_is_not_as_recorded_breaks_the_link(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = commit(root, LOSS)
    place = install_plugin(tmp_path, monkeypatch, "1.2.0", "other = 1\n")
    with pytest.raises(
        Broken, match="the wheel of kshot-extra 1.2.0 .* does not give the code .* extra/loss.py is not"
    ):
        code(with_plugin(root, at))
    with pytest.raises(NotRecorded, match="made by an installed kshot-extra 1.2.0 whose files had been edited"):
        code(with_plugin(root, at, installed.EDITED))
    (place / "extra/loss.py").write_text("edited = 1\n")
    with pytest.raises(NotChecked, match=r"kshot-extra 1.2.0 \(edited wheel\) is installed here"):
        code(with_plugin(root, at))


def install_plugin(folder: Path, monkeypatch: pytest.MonkeyPatch, version: str, text: str = TEXTS[PLUGIN]) -> Path:
    place = folder / f"plugin-{version}"
    plugin_distribution.install(place, {"extra/loss.py": text, "extra/proxies.py": TEXTS[PROXIES]}, {}, version=version)
    monkeypatch.syspath_prepend(str(place))
    return place
