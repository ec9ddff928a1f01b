"""Checks the code that a model was made with: its commit is in git's history and matches what the stages read."""

import hashlib
from pathlib import Path

from kshot.first_few import first_few
from kshot.lifecycle.audit.links.served import as_registered
from kshot.lifecycle.audit.subject import Subject
from kshot.lifecycle.project import git
from kshot.lifecycle.project.broken import Broken, NotChecked, NotRecorded
from kshot.lifecycle.project.files import file_md5
from kshot.lifecycle.tracking import code_closure, installed, lineage, plugin_code
from kshot.lifecycle.tracking.code_closure import PACKAGE
from kshot.lifecycle.tracking.uncommitted import LEFT_OUT, PATCH

SOURCE_FOLDER, MISSING = "src", "missing"


def code(subject: Subject) -> str:
    """Compare each code file the stages read with the commit and its patch, kshot's package and installed plug-ins.

    Raises Broken if a file differs, NotChecked if another version of a package is installed than made the model.
    """
    commit, patch = source(subject)
    if not _is_kept(subject.root, commit):
        raise Broken(
            f"commit {commit[:10]} is on no branch and no tag, so that git will delete it; keep it with "
            f"`git tag model-{subject.version} {commit[:10]}`",
            commit,
        )
    read, plugin_files = _apart(recorded(subject))
    hashes = _hashes(subject, commit, patch, [in_project(name) for name in read])
    found = {name: hashes.get(in_project(name), MISSING) for name in read}
    packaged = {name: md5 for name, md5 in read.items() if is_packaged(name)}
    if made_by(subject).installed == installed.SOURCE and any(found[name] != MISSING for name in packaged):
        packaged = {}
    own = {name: md5 for name, md5 in read.items() if name not in packaged}
    how = f"commit {commit[:7]}" + (" plus uncommitted changes (stored)" if patch else "")
    if other := _differing(own, found):
        raise _not_as_recorded(how, other, own, found)
    match = f": all {len(own)} code files match" if own or not packaged else ""
    out = left_out(subject)
    texts = [f"{how}{match}", *([f"uncommitted and not stored: {first_few(out)}"] if out else [])]
    if packaged:
        here = {name: _md5(code_closure.folders(Path())[0] / name) for name in packaged}
        texts.append(_installed(PACKAGE, made_by(subject), installed.package(packaged), packaged, here))
    made_with = installed.plugins_of(subject.tags)
    texts += [_plugin(name, made_with.get(name, installed.UNKNOWN), files) for name, files in plugin_files.items()]
    return "; ".join(texts)


def _plugin(name: str, then: installed.Package, files: dict[str, str]) -> str:
    """Check the files of an installed plug-in. Raises as `_installed`."""
    now = installed.plugins(f"{name}{plugin_code.BETWEEN}{file}" for file in files)[name]
    places = plugin_code.installed_files(name, files)
    return _installed(
        name, then, now, files, {file: _md5(places[file]) if file in places else MISSING for file in files}
    )


def _differing(read: dict[str, str], found: dict[str, str]) -> list[str]:
    return sorted(name for name, md5 in read.items() if found[name] != md5)


def _not_as_recorded(what: str, other: list[str], read: dict[str, str], found: dict[str, str]) -> Broken:
    return Broken(
        f"{what} does not give the code that the stages read: {first_few(other)} "
        f"{'is' if len(other) == 1 else 'are'} not as recorded",
        ", ".join(f"{name} {read[name][:8]}" for name in other[:3]),
        ", ".join(f"{name} {found[name][:8]}" for name in other[:3]),
    )


def _apart(read: dict[str, str]) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """The files of kshot and the project, and the files of installed plug-ins by distribution."""
    ours: dict[str, str] = {}
    others: dict[str, dict[str, str]] = {}
    for name, md5 in read.items():
        if distribution := plugin_code.distribution_of(name):
            others.setdefault(distribution, {})[name.partition(plugin_code.BETWEEN)[2]] = md5
        else:
            ours[name] = md5
    return ours, others


def _installed(
    what: str, then: installed.Package, now: installed.Package, read: dict[str, str], here: dict[str, str]
) -> str:
    """Check that distribution `what` has the files that the stages read. Raises Broken, NotChecked, NotRecorded."""
    other = _differing(read, here)
    if not other:
        whole = ", which are those of its wheel" if now.installed == installed.WHEEL else ""
        return f"{what} {then.version}: all {len(read)} code files match those installed here{whole}"
    if now == installed.UNKNOWN:
        raise NotChecked(
            f"{what} {then.version} ({then.installed}) made it, and {what} is not installed here; audit with it "
            f"installed to check it: pip install {what}=={then.version}"
        )
    if then.installed == installed.EDITED:
        raise NotRecorded(
            f"it was made by an installed {what} {then.version} whose files had been edited, and they were not stored: "
            f"{first_few(other)}"
        )
    if then == now and now.installed == installed.WHEEL:
        raise _not_as_recorded(f"the wheel of {what} {then.version} that is installed here", other, read, here)
    raise NotChecked(
        f"{what} {then.version} ({then.installed}) made it, and {what} {now.version} ({now.installed}) is installed "
        f"here, where {first_few(other)} {'differs' if len(other) == 1 else 'differ'}; audit with {what} "
        f"{then.version} installed to check it: pip install {what}=={then.version}"
    )


def made_by(subject: Subject) -> installed.Package:
    """The kshot package that made the version; versions older than this record were made from a clone."""
    return installed.Package(
        subject.tags.get(installed.VERSION_TAG, ""), subject.tags.get(installed.INSTALLED_TAG, installed.SOURCE)
    )


def _md5(path: Path) -> str:
    return file_md5(path) if path.is_file() else MISSING


def is_packaged(name: str) -> bool:
    """Whether a file belongs to kshot's package, by its name in a fingerprint."""
    return name.startswith(f"{PACKAGE}/")


def in_project(name: str) -> str:
    """The path of the file `name` of `recorded` in a project that contains the code of its stages."""
    return name if name.startswith(f"{SOURCE_FOLDER}/") else f"{SOURCE_FOLDER}/{name}"


def source(subject: Subject) -> tuple[str, Path | None]:
    """The commit that a version was made at, and the patch of uncommitted changes, None if there were none.

    Raises Broken if one of them is gone, NotRecorded if there was no commit.
    """
    commit = subject.tags.get("kshot.git_commit", "") or _of_run(subject, "kshot.git_commit")
    dirty = (subject.run.data.tags if subject.run else subject.tags).get("kshot.git_dirty") == "true"
    if not commit:
        reason = subject.tags.get(lineage.UNRECORDED, "") or _of_run(subject, lineage.UNRECORDED)
        allowed = f", by --allow-unrecorded, because {reason}" if reason else ""
        raise NotRecorded(f"no commit was recorded{allowed}: the code that made it is unknown")
    if _git(subject.root, "cat-file", "-e", f"{commit}^{{commit}}") is None:
        raise Broken(f"commit {commit[:10]} is not in this repository; fetch it from where it was made", commit)
    return commit, _patch(subject, dirty)


def recorded(subject: Subject) -> dict[str, str]:
    """The md5 of each code file that a stage read, from dvc.lock: see `lineage.code_files`. Raises Broken."""
    return {name: md5 for stage in subject.lock.values() for name, md5 in lineage.code_files(stage).items()}


def left_out(subject: Subject) -> list[str]:
    """Changed or new files, compared with the commit, that the run does not contain. Raises Broken."""
    if not subject.has(LEFT_OUT):
        return []
    return as_registered(subject, LEFT_OUT).read_text(encoding="utf-8", errors="surrogateescape").splitlines()


def _of_run(subject: Subject, tag: str) -> str:
    return str(subject.run.data.tags.get(tag, "")) if subject.run is not None else ""


def _is_kept(root: Path, commit: str) -> bool:
    """Whether the commit is reachable from a branch, a tag or HEAD, so that git does not delete it."""
    if _git(root, "for-each-ref", "--contains", commit, "--count=1"):
        return True
    return _git(root, "merge-base", "--is-ancestor", commit, "HEAD") is not None


def _patch(subject: Subject, dirty: bool) -> Path | None:
    if subject.has(PATCH):
        return as_registered(subject, PATCH)
    if dirty and not subject.has(LEFT_OUT):  # every changed file may have been left out
        raise Broken(f"the code differed from its commit, and run {subject.run_id} keeps no {PATCH}", PATCH, "nothing")
    return None


def _hashes(subject: Subject, commit: str, patch: Path | None, names: list[str]) -> dict[str, str]:
    """The md5 of each file from commit and patch, computed in a temporary index and object store."""
    root, scratch = subject.root, subject.scratch / "git"
    (scratch / "objects").mkdir(parents=True, exist_ok=True)
    top = (_git(root, "rev-parse", "--show-toplevel") or b"").decode().strip()
    objects = root / (_git(root, "rev-parse", "--git-path", "objects") or b"").decode().strip()
    own = {
        "GIT_INDEX_FILE": str(scratch / "index"),
        "GIT_OBJECT_DIRECTORY": str(scratch / "objects"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(objects.resolve()),
    }
    _git(root, "read-tree", commit, own=own)
    if patch is not None and _git(Path(top), "apply", "--cached", "--whitespace=nowarn", str(patch), own=own) is None:
        raise Broken(f"{PATCH} of run {subject.run_id} does not fit commit {commit[:10]}: one of them was changed")
    listed = (_git(root, "ls-files", "-s", "-z", own=own) or b"").decode(errors="replace")
    blobs = {line.partition("\t")[2]: line.split()[1] for line in listed.split("\0") if line}
    wanted = [name for name in names if name in blobs]
    out = _git(root, "cat-file", "--batch", own=own, text="".join(f"{blobs[name]}\n" for name in wanted)) or b""
    found = {}
    for name in wanted:
        head, _, out = out.partition(b"\n")
        size = int(head.split()[-1])
        found[name] = hashlib.md5(out[:size]).hexdigest()
        out = out[size + 1 :]
    return found


def _git(root: Path, *arguments: str, own: dict[str, str] | None = None, text: str = "") -> bytes | None:
    """The output of a git command, None if it fails. Raises NotRecorded if git does not work here at all."""
    try:
        return git.run(root, *arguments, env=own, stdin=text.encode())
    except git.GitFailed as error:
        if isinstance(error, (git.NoGit, git.NoRepository)) or "dubious ownership" in error.reason:
            raise NotRecorded(f"the commit cannot be looked up: {error}") from error
        return None
