"""Finds plug-ins by name: entry points of installed distributions and of the project's own pyproject.toml.

Both have the same form: a group of KINDS, such as `kshot.losses`, a name, and `module:object`. The modules of a project
are in its src/. A module is imported only when its name is chosen. A registered model contains the plug-in code that it
needs and lists it in INSIDE; nothing else is searched there.
"""

import contextlib
import functools
import json
import re
import sys
import tomllib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kshot.errors import ParamsError

# Each kind, with entry points in the group `kshot.KIND`, to the noun for one plug-in of it.
KINDS = {
    "losses": "loss",
    "methods": "method",
    "backbones": "backbone",
    "classifiers": "classifier",
    "notifiers": "notifier",
}
SOURCE, DECLARED = "src", "pyproject.toml"  # of a project
INSIDE = Path(__file__).with_name("plugins.json")  # in the copy of kshot in a registered model: lists its plug-ins


@dataclass(frozen=True)
class Plugin:
    """A name that a distribution or the project defines, not kshot.

    target        "module:object", as in an entry point
    distribution  that defines it, with its version; '' for the project's own code
    """

    kind: str
    name: str
    target: str
    distribution: str = ""
    version: str = ""

    @property
    def module(self) -> str:
        """The module that the object is in."""
        return self.target.partition(":")[0].strip()

    @property
    def given_by(self) -> str:
        """The distribution and its version, '' for the project's own code."""
        return f"{self.distribution} {self.version}".strip()

    def __str__(self) -> str:
        return f"{KINDS[self.kind]} {self.name} of {self.given_by or DECLARED} ({self.target})"


@dataclass
class _Project:
    """The project whose plug-ins this process uses, and its folder on sys.path once one of them was imported.

    root: None until `use_project` sets it; None means the working directory, as in a notebook
    """

    root: Path | None = None
    on_path: str = ""


_project = _Project()
_given: ContextVar[tuple[tuple[Plugin, Any], ...]] = ContextVar("given", default=())


def use_project(root: Path) -> None:
    """Use the plug-ins of the project at `root` from now on, and of no other project. Imports nothing."""
    _project.root = root.resolve()


@contextmanager
def given(kind: str, code: Callable[..., Any]) -> Iterator[str]:
    """Make `code` a plug-in inside the block and yield its name: for a caller whose code is in no file."""
    name = str(getattr(code, "__name__", type(code).__name__))
    plugin = Plugin(kind, name, f"{getattr(code, '__module__', '')}:{name}", "the caller")
    token = _given.set((*_given.get(), (plugin, code)))
    try:
        yield name
    finally:
        _given.reset(token)


def find(kind: str, name: str, built_in: Collection[str] = (), root: Path | None = None) -> Plugin | None:
    """The plug-in that defines `name`, or None. `root`: the project, if not the one set with `use_project`.

    Raises ParamsError if `name` is also one of `built_in`, or if two plug-ins define it.
    """
    found = [plugin for plugin in of_kind(kind, root) if plugin.name == name]
    if not found:
        return None
    if name in built_in:
        raise ParamsError(
            f"the {KINDS[kind]} {name} is kshot's own, and the {found[0]} has the same name; rename or uninstall that"
        )
    if len(found) > 1:
        raise ParamsError(f"two give one name: the {found[0]} and the {found[1]}; rename or uninstall one of them")
    return found[0]


def of_kind(kind: str, root: Path | None = None) -> tuple[Plugin, ...]:
    """Every plug-in of a kind, the project's own first. Raises ParamsError for a pyproject.toml that is not TOML."""
    if INSIDE.is_file():
        return tuple(Plugin(**one) for one in json.loads(INSIDE.read_text(encoding="utf-8")) if one["kind"] == kind)
    handed = tuple(plugin for plugin, _ in _given.get() if plugin.kind == kind)
    declared = _declared(root or _root())
    entries = declared.get("entry-points", {}).get(f"kshot.{kind}", {})
    own = tuple(Plugin(kind, str(name), str(target)) for name, target in entries.items())
    # A project that is also installed, for example by `pip install -e .`, counts once.
    itself = _normal(str(declared.get("name", "")))
    return (*handed, *own, *(one for one in _installed(kind, tuple(sys.path)) if _normal(one.distribution) != itself))


def names(kind: str) -> tuple[str, ...]:
    """The names that plug-ins define, for a message that lists the known names."""
    return tuple(plugin.name for plugin in of_kind(kind))


def load(plugin: Plugin) -> Any:
    """The object that a plug-in names. Raises ParamsError, with the distribution and the error, if loading fails."""
    from importlib.metadata import EntryPoint

    for handed, code in _given.get():
        if handed == plugin:
            return code
    try:
        with _importable(plugin):
            found = EntryPoint(plugin.name, plugin.target, f"kshot.{plugin.kind}").load()
    except Exception as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise ParamsError(f"the {plugin} cannot be imported: {what}; repair it, or install what it needs") from error
    _require_own(plugin)
    return found


def missing(kind: str, name: str, given_by: str) -> str:
    """Message that names the plug-in that a model needs and that is missing; `given_by` as in `Plugin.given_by`."""
    where = f"the {KINDS[kind]} {name} comes from"
    if not given_by:
        return f"{where} its project's own code; work in that project's folder, or take the registered model"
    return f"{where} {given_by}, which is not installed here; pip install {'=='.join(given_by.split())}"


def _root() -> Path:
    return _project.root or Path.cwd().resolve()


def _declared(root: Path) -> dict[str, Any]:
    """The table [project] of the project's pyproject.toml; {} without one."""
    path = root / DECLARED
    try:
        return _table(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ParamsError(f"{path} cannot be read: {error}; repair it") from error


@functools.lru_cache(maxsize=8)
def _table(text: str) -> dict[str, Any]:
    """The table [project] of a pyproject.toml; cached, because parsing takes 10 ms and every setting asks for it."""
    found: dict[str, Any] = tomllib.loads(text).get("project", {})
    return found


def requirements(root: Path, plugin: Plugin) -> list[str]:
    """Requirements that the plug-in's distribution, or the project, declares: lines such as "scipy>=1.10"."""
    from importlib.metadata import distribution

    if not plugin.distribution:
        return [str(line) for line in _declared(root).get("dependencies", [])]
    return list(distribution(plugin.distribution).requires or [])


@functools.lru_cache(maxsize=64)
def _installed(kind: str, path: tuple[str, ...]) -> tuple[Plugin, ...]:
    """The plug-ins of the distributions on `path`, which is sys.path; cached for each path."""
    from importlib.metadata import entry_points

    found = []
    for one in entry_points(group=f"kshot.{kind}"):
        name, version = (one.dist.name, one.dist.version) if one.dist else ("", "")
        found.append(Plugin(kind, one.name, one.value, name, version))
    return tuple(found)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@contextlib.contextmanager
def _importable(plugin: Plugin) -> Iterator[None]:
    """Put the project's src/ first on the import path inside the block, and last afterwards."""
    if not _is_own(plugin):
        yield
        return
    folder = str(_root() / SOURCE)
    if _project.on_path and _project.on_path != folder:
        _forget(_project.on_path)
    _project.on_path = folder
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        if folder not in sys.path:
            sys.path.append(folder)


def _is_own(plugin: Plugin) -> bool:
    """Whether its code is in the project's src/."""
    return not plugin.distribution and not INSIDE.is_file()


def _forget(folder: str) -> None:
    """Remove another project's src/ and its modules from this process."""
    if folder in sys.path:
        sys.path.remove(folder)
    for name in list(_modules_of(folder)):
        del sys.modules[name]


def _modules_of(folder: str) -> Iterator[str]:
    ours = __name__.partition(".")[0]
    for name, module in sys.modules.items():
        file = getattr(module, "__file__", None)
        if name.partition(".")[0] != ours and file and Path(file).resolve().is_relative_to(folder):
            yield name


def _require_own(plugin: Plugin) -> None:
    """Raise ParamsError if an installed module of the same name was found instead of the project's."""
    if not _is_own(plugin):
        return
    file = Path(str(getattr(sys.modules[plugin.module], "__file__", ""))).resolve()
    if not file.is_relative_to(_project.on_path):
        raise ParamsError(f"the {plugin} is hidden by {file}, a module of the same name; rename the project's")
