"""Tracks data versions that arrive automatically: the source's current content, and the versions already retrained.

The source is one of
  a folder, archive or manifest   added by `data add` when its content has changed and is stable
  the project                     data/raw.dvc as `kshot data add` left it
  a git branch                    data/raw.dvc of its last commit, fetched first for a remote's branch

Each version gets one retraining. .kshot/new-data.json is written before and after a run is started: a watcher that is
killed in between asks the server for the same run again, with a key that identifies version and attempt.
"""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import yaml

from kshot.errors import DataError, Drifted, KshotError
from kshot.lifecycle.data import working_copy
from kshot.lifecycle.data.changes.add_version import AddOptions
from kshot.lifecycle.pipeline import added_data
from kshot.lifecycle.project import git, layout, project_lock
from kshot.lifecycle.project.files import write_text
from kshot.lifecycle.registry import model_versions
from kshot.lifecycle.sources import at_rest, source_argument
from kshot.load_yaml import load_yaml

FILE = layout.STATE / "new-data.json"
ATTEMPTS = 3  # of a run that was ended from outside: a power failure, a stop of the scheduler


@dataclasses.dataclass(frozen=True)
class Version:
    """A new data version and its retraining.

    attempt  number of the attempt
    run      id of its flow run, once started
    ended    how the run ended
    skipped  how often its run was skipped because another was in progress, which does not count as an attempt
    """

    md5: str
    attempt: int = 1
    run: str | None = None
    ended: str | None = None
    skipped: int = 0

    @property
    def key(self) -> str:
        """Idempotency key: starting a run twice with it starts one run."""
        return f"new-data {self.md5} {self.attempt}" + (f" {self.skipped}" if self.skipped else "")


@dataclasses.dataclass(frozen=True)
class Seen:
    """The watcher's state.

    fingerprint  of the source that was added last
    versions     every version, each with its retraining
    refusal      why the source's present content is not added; "" if it is
    """

    fingerprint: str = ""
    versions: tuple[Version, ...] = ()
    refusal: str = ""

    def find(self, md5: str) -> Version | None:
        return next((version for version in self.versions if version.md5 == md5), None)

    def put(self, version: Version) -> "Seen":
        """A copy in which `version` replaces the one with its md5, or is added at the end."""
        if self.find(version.md5) is None:
            return dataclasses.replace(self, versions=(*self.versions, version))
        return dataclasses.replace(
            self, versions=tuple(version if one.md5 == version.md5 else one for one in self.versions)
        )


def read(root: Path) -> Seen:
    """Read the watcher's state. Raises KshotError for a damaged file."""
    path = root / FILE
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return Seen(
            stored["fingerprint"], tuple(Version(**one) for one in stored["versions"]), stored.get("refusal", "")
        )
    except FileNotFoundError:
        return Seen()
    except (ValueError, TypeError, KeyError) as error:
        raise KshotError(
            f"{path} is damaged ({error}); remove it: the present version is then retrained again"
        ) from error


def write(root: Path, seen: Seen) -> None:
    """Write the watcher's state atomically."""
    write_text(root / FILE, json.dumps(dataclasses.asdict(seen), indent=2) + "\n")


def check_source(root: Path, source: Path) -> None:
    """Raise DataError for a source that is missing, or that is the project or contains it, as it would add itself."""
    source_argument.check_argument(root, str(source))
    if source.resolve().is_relative_to(root.resolve() / layout.RAW.parent):
        raise DataError(
            f"the source {source} is where the project keeps its data; "
            "`kshot schedule --on-new-data` without a source watches the project's own version"
        )
    fingerprint(source)


def fingerprint(source: Path) -> str:
    """16 hex digits over names, sizes and times of the files of `source` that `data add` reads, following links.

    Raises DataError if it is missing, and for a loop of links.
    """
    try:
        if not source.exists():
            raise FileNotFoundError
        return at_rest.fingerprint(source)
    except OSError as error:
        raise DataError(
            f"the source {source} is not there or cannot be read ({error.strerror or 'no such file'}); "
            "bring it back, or name another with `kshot schedule --on-new-data SOURCE`"
        ) from error


def add(root: Path, source: Path, *, extend: bool, say: added_data.Say) -> str:
    """Add the source as a data version; returns its md5. Raises DataError, and Busy while another command works.

    `extend`: to the images of the current version; otherwise it replaces them, and `say` gets a line on what is left.
    """
    with project_lock.hold(root, "kshot schedule --on-new-data"):
        return added_data.add(root, str(source), AddOptions(note="came by itself", extend=extend), say).md5


class Drift(NamedTuple):
    """Whether to retrain on a source, and the reason as text."""

    drifted: bool
    reason: str


def drifted(root: Path, source: Path) -> Drift:
    """Run `kshot drift` on the source in a separate process, so that a watcher that runs for months loads no model.

    Without a champion all data is new. Raises DataError for a source that `kshot drift` refuses, KshotError for its
    other errors.
    """
    if model_versions.champion(root) is None:
        return Drift(True, "there is no champion yet, so all of it is new")
    command = [sys.executable, "-m", "kshot.cli", "drift", str(source), "--json"]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if ended.returncode not in (0, Drifted.exit_code):
        reason = (ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"])[-1]
        kind = DataError if ended.returncode == DataError.exit_code else KshotError
        raise kind(f"whether {source} has drifted cannot be determined: {reason.removeprefix('kshot: error: ')}")
    measures = [one["name"] for one in json.loads(ended.stdout)["measures"] if one["drifted"]]
    reason = f"drifted ({', '.join(measures)})" if measures else "not drifted, so it is not added; reports/drift.html"
    return Drift(bool(measures), reason)


def of_project(root: Path) -> str | None:
    """The md5 of the project's data version, None if there is none."""
    found = working_copy.tracked(root)
    return found.md5 if found else None


def of_commit(root: Path, ref: str) -> str | None:
    """The md5 of the data version of a commit, None if it has none. Raises DataError if git cannot say."""
    remote = ref.split("/")[0]
    if "/" in ref and remote in _git(root, "remote").split():
        _git(root, "fetch", "--quiet", remote)
    if not _git(root, "ls-tree", "--name-only", ref, "--", layout.RAW_DVC.as_posix()).strip():
        return None
    text = _git(root, "show", f"{ref}:{layout.RAW_DVC.as_posix()}")
    try:
        return str(load_yaml(text)["outs"][0]["md5"]).removesuffix(".dir")
    except (yaml.YAMLError, KeyError, IndexError, TypeError) as error:
        why = " ".join(repr(error).split())[:200]
        raise DataError(f"{layout.RAW_DVC} of {ref} is damaged ({why}); commit it again") from error


def _git(root: Path, *arguments: str) -> str:
    try:
        return git.text(root, *arguments)
    except git.GitFailed as error:
        raise DataError(f"{error}; mend that, it is tried again") from error
