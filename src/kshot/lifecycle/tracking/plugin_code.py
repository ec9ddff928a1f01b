"""The code files of the plug-ins chosen in params.yaml, and their fingerprints for the stages."""

import hashlib
import importlib.util
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from kshot import plugins
from kshot.errors import ParamsError
from kshot.lifecycle.project.files import file_md5
from kshot.lifecycle.tracking.code_closure import PACKAGE, closure, finder, folders, imported_modules, parsed
from kshot.params.chosen_code import chosen_names
from kshot.params.reader import read_mapping
from kshot.plugins import Plugin

# Kind of plug-in to the stages whose results depend on it.
READERS = {
    "backbones": ("embed", "train", "evaluate"),
    "losses": ("train",),
    "methods": ("train", "evaluate"),
    "classifiers": ("evaluate",),
}
ENTRY = " = "  # in the fingerprint line that maps a name to its object; no file name contains it
BETWEEN = ":"  # between a distribution and the name of one of its files


def chosen(root: Path) -> tuple[Plugin, ...]:
    """The plug-ins chosen in the project's params.yaml. Raises ParamsError for a file that cannot be read."""
    if not (root / "params.yaml").is_file():
        return ()
    names = chosen_names(read_mapping(root / "params.yaml"))
    found = (plugins.find(kind, name, root=root) for kind, name in names.items())
    return tuple(plugin for plugin in found if plugin is not None)


def fingerprints(root: Path, stage: str) -> dict[str, str]:
    """The md5 of each file of the chosen plug-ins that `stage` uses, by name:

    "shop/loss.py"                     in the project's src/
    "kshot-extra:kshot_extra/loss.py"  of an installed distribution, all of its files
    "ratio = kshot_extra.loss:ratio"   the name itself and its object, with the md5 of that text
    """
    found: dict[str, str] = {}
    for plugin in chosen(root):
        if stage in READERS[plugin.kind]:
            line = f"{plugin.name}{ENTRY}{plugin.target}"
            found[line] = hashlib.md5(line.encode()).hexdigest()
            found |= _of_project(root, plugin) if not plugin.distribution else _of_distribution(root, plugin)
    return found


def own_files(root: Path, plugin: Plugin) -> dict[str, Path]:
    """Each project file that the plug-in's module reads, by its name relative to src/."""
    names = [name for name in _of_project(root, plugin) if not name.startswith(f"{PACKAGE}/")]
    return {name: root / plugins.SOURCE / name for name in names}


def installed_files(distribution: str, names: Iterable[str] = ()) -> dict[str, Path]:
    """Each file below the top-level packages of a distribution except compiled ones, by name; {} if not installed.

    `names`: some of its files or modules, for an editable install, which does not list its files.
    """
    tops = _tops(distribution) | {name.partition("/")[0].removesuffix(".py").partition(".")[0] for name in names}
    found: dict[str, Path] = {}
    for top in sorted(tops):
        for folder in _places(top):
            below = [folder] if folder.is_file() else sorted(folder.rglob("*"))
            for path in below:
                if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc":
                    found[path.relative_to(folder.parent).as_posix()] = path
    return found


def distribution_of(name: str) -> str:
    """The distribution of a file in `fingerprints`, '' for the project's own and kshot's."""
    return name.partition(BETWEEN)[0] if BETWEEN in name else ""


def _of_project(root: Path, plugin: Plugin) -> dict[str, str]:
    found = closure(plugin.module, folders(root))
    if not found:
        raise ParamsError(f"the {plugin} has no module in {root / plugins.SOURCE}; put it there, or mend the name")
    return found


def _of_distribution(root: Path, plugin: Plugin) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, path in installed_files(plugin.distribution, [plugin.module]).items():
        found[f"{plugin.distribution}{BETWEEN}{name}"] = file_md5(path)
        if path.suffix == ".py":
            # kshot code that only the plug-in uses.
            for _, origin, names in parsed(path.read_bytes())[0]:
                if origin.partition(".")[0] == PACKAGE:
                    for module in imported_modules(origin, names, finder(folders(root))):
                        found |= closure(module, folders(root))
    return found


def _tops(distribution: str) -> set[str]:
    """The top-level modules and packages that a distribution installs, according to its RECORD."""
    try:
        files = metadata.distribution(distribution).files or []
    except metadata.PackageNotFoundError:
        return set()
    firsts = {file.parts[0] for file in files if file.suffix == ".py"}
    return {first.removesuffix(".py") for first in firsts if first != ".." and not first.startswith("__editable__")}


def _places(top: str) -> Iterator[Path]:
    """The folder of a top-level package, or the file of a module, without importing it."""
    spec = importlib.util.find_spec(top)
    if spec is None:
        return
    if spec.submodule_search_locations is not None:
        yield from (Path(place) for place in spec.submodule_search_locations)
    elif spec.origin is not None and Path(spec.origin).is_file():
        yield Path(spec.origin)
