"""Creates a project: the files of `kshot/template` and a git repository with a first commit. Imports nothing heavy."""

import shlex
import shutil
from collections.abc import Callable, Iterator
from importlib import resources
from importlib.metadata import version
from importlib.resources.abc import Traversable
from pathlib import Path

from kshot.errors import KshotError, ParamsError
from kshot.lifecycle.project import git, layout, project_lock
from kshot.load_yaml import load_yaml
from kshot.params import project_name

DOTTED = ("gitignore", "dvcignore", "dvc", "github")  # names that get a leading dot in a project
FLOW = "flows/retrain.py"
SHIPPED_NAME = f"{project_name.KEY}: {project_name.BEFORE}"  # in the template's params.yaml
IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "kshot"), ("EMAIL", "kshot@localhost"))
}
UNFINISHED = layout.STATE / "init.lock"  # there until `kshot init` has made the first commit
NO_SCM = "    no_scm = true\n"  # without it DVC refuses to work without git


def make(root: Path, fill: Callable[[], None] | None = None) -> list[str]:
    """Write a project into the folder `root`, which is new or empty. Returns sentences about what could not be done.

    `fill` adds to the project before its first commit. If it fails or is interrupted, the folder is restored; if it was
    killed, the next call begins again. Raises KshotError for a folder that is not empty, ParamsError for an invalid
    name.
    """
    try:
        name = project_name.checked(root.name)
    except ParamsError as error:
        raise ParamsError(f"{root.name!r} is no name for a project; {project_name.RULE}") from error
    _clear_unfinished(root)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise KshotError(_occupied(root))
    was_there = root.exists()
    try:
        with project_lock.hold(root, "kshot init", UNFINISHED):
            for place, text in files(name).items():
                (root / place).parent.mkdir(parents=True, exist_ok=True)
                (root / place).write_text(text, encoding="utf-8")
            notes = [*_inside_another(root), *_with_git(root)]
            if fill is not None:
                fill()
            if (root / ".git").is_dir():
                notes += _committed(root, name)
            (root / UNFINISHED).unlink()
        return notes
    except BaseException:
        for path in root.iterdir() if root.exists() else ():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if not was_there:
            root.rmdir()
        raise


def _clear_unfinished(root: Path) -> None:
    """Delete what a killed `kshot init` left in `root`, unless anybody put something else there.

    Raises Busy if another `kshot init` is at work in it.
    """
    if not (root / UNFINISHED).is_file():
        return
    ours = {place.partition("/")[0] for place in files("any")} | {".git", "data", "mlruns", layout.FINGERPRINTS.name}
    with project_lock.hold(root, "kshot init", UNFINISHED):
        if {path.name for path in root.iterdir()} - ours - {layout.STATE.name}:
            return
        for name in sorted(ours):
            path = root / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        shutil.rmtree(root / layout.STATE)


def _occupied(root: Path) -> str:
    """Why no project can be made in `root`, and what to do; for an existing project, how to continue in it."""
    if not (root / UNFINISHED).is_file() and (root / "params.yaml").is_file() and (root / "dvc.yaml").is_file():
        return (
            f"{root} is a project already; continue in it: cd {shlex.quote(str(root))} && kshot data add FOLDER && "
            "kshot fit-settings --yes"
        )
    return f"{root} is there and not empty; name another folder, or move away what is in it"


def _inside_another(root: Path) -> list[str]:
    """A sentence about the project around the folder `root`, if there is one."""
    for folder in root.absolute().parents:
        if (folder / "params.yaml").is_file() and (folder / "dvc.yaml").is_file():
            return [
                f"{root.name} lies inside the project {folder.name}, whose commits cannot hold it; put it elsewhere: "
                f"mv {shlex.quote(str(root))} {shlex.quote(str(folder.parent))}"
            ]
    return []


def files(name: str) -> dict[str, str]:
    """Path and text of each file of a project called `name`."""
    found = dict(_below("", resources.files("kshot") / "template"))
    found[FLOW] = (resources.files("kshot") / FLOW).read_text(encoding="utf-8")
    text = name if load_yaml(name) == name else f"'{name}'"  # 2024 and null are valid names, too
    lines = (f"kshot: '{version('kshot')}'".ljust(27) + " # or newer", f"project: {text}".ljust(27) + " ")
    found["params.yaml"] = found["params.yaml"].replace(SHIPPED_NAME.ljust(28), "\n".join(lines), 1)
    readme = found["README.md"].replace(f"# {project_name.BEFORE}", f"# {name}", 1)
    found["README.md"] = readme.replace(f"models:/{project_name.BEFORE}@", f"models:/{name}@")
    return found


def _below(place: str, folder: Traversable) -> Iterator[tuple[str, str]]:
    for one in folder.iterdir():
        name = f"{place}{'.' if one.name in DOTTED else ''}{one.name}"
        if one.is_dir():
            yield from _below(f"{name}/", one)
        else:
            yield name, one.read_text(encoding="utf-8")


def _with_git(root: Path) -> list[str]:
    """Create the repository. Without git, configure DVC to work without it, and return a sentence about it."""
    try:
        git.run(root, "init", "--quiet")
    except git.NoGit:
        config = root / ".dvc/config"
        config.write_text(config.read_text(encoding="utf-8") + NO_SCM, encoding="utf-8")
        return [
            "there is no git on this machine, so that no commit names the code of a model; install it, take no_scm out "
            f"of {config}, and run: git init && git add . && git commit -m 'Project {root.name}'"
        ]
    except git.GitFailed as error:
        return [_by_hand(error)]
    return []


def _committed(root: Path, name: str) -> list[str]:
    """Make the first commit, with kshot as author if git knows none."""
    try:
        git.run(root, "add", ".")
        known = git.run(root, "var", "GIT_AUTHOR_IDENT", fine=tuple(range(256)))
        author = {} if known else IDENTITY
        git.run(root, "-c", "commit.gpgSign=false", "commit", "--quiet", "-m", f"Project {name}", env=author)
    except git.GitFailed as error:
        return [_by_hand(error)]
    return []


def _by_hand(error: git.GitFailed) -> str:
    return f"the project is made, its first commit is not: {error}; make it yourself: git add . && git commit"
