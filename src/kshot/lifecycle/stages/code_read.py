"""Which files of code a stage reads: the imports of its module, followed through the package that is imported here.

`fingerprints/STAGE.json` holds one line a file, its name and its md5, and dvc.yaml names it among the stage's params.
So DVC runs a stage again when a file that it uses changed, and says which one, wherever kshot is installed.
"""

import ast
import functools
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import kshot
from kshot.errors import StageFailed
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import file_md5, write_text

PACKAGE = "kshot"
STAGES = f"{PACKAGE}.lifecycle.stages"


def place_of(stage: str) -> Path:
    """The file of the fingerprints of `stage`, relative to the project."""
    return layout.FINGERPRINTS / f"{stage}.json"


def refresh(root: Path, stage: str) -> None:
    """Write the fingerprints of `stage` as its code is now; a file that holds them already stays untouched."""
    text = json.dumps(fingerprints(root, stage), indent=1) + "\n"
    path = root / place_of(stage)
    if path.is_file() and path.read_text(encoding="utf-8", errors="replace") == text:
        return
    write_text(path, text)


def renew(root: Path, stage: str) -> None:
    """Write the fingerprints again where one of the files in them has other content now.

    DVC reads them after the stage, so that also a plain `dvc repro` records the code that ran.
    """
    path = root / place_of(stage)
    if not path.is_file():
        return
    where = folders(root)
    written: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    for name, md5 in written.items():
        if not any((folder / name).is_file() and file_md5(folder / name) == md5 for folder in where):
            refresh(root, stage)
            return


def fingerprints(root: Path, stage: str) -> dict[str, str]:
    """Name to md5 of each file that `stage` reads, sorted: "kshot/losses/triplet.py", never an absolute path.

    Names of the project's own code are relative to its src/. An `__init__.py` without code is left out. Raises
    StageFailed for a file that is no Python.
    """
    return closure(f"{STAGES}.{stage}", folders(root))


def folders(root: Path) -> tuple[Path, ...]:
    """Where modules are looked for: the folder of the kshot that is imported here, then the project's src/."""
    return Path(kshot.__file__).resolve().parents[1], root.resolve() / "src"


def closure(module: str, where: Sequence[Path]) -> dict[str, str]:
    """Name to md5 of the files that importing `module` reads, directly or not, at the top or inside a function.

    A name that a package imports on first use is looked up in the `__init__.pyi` beside it.
    """
    todo, found, seen = [module], {}, set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        # Importing a.b.c runs a and a.b too.
        todo += [name.rpartition(".")[0]] if "." in name else []
        place = _file(name, where)
        if place is None:
            continue  # of another package, or a name of a module and no module
        folder, path = place
        content = path.read_bytes()
        try:
            imports, holds_code = _parsed(content)
        except (SyntaxError, ValueError) as error:
            raise StageFailed(f"{path} is no Python that can be run: {error}; repair it, then run again") from error
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for level, origin, names in imports:
            todo += _modules(_absolute(level, origin, package), names, where)
        if holds_code:
            found[path.relative_to(folder).as_posix()] = hashlib.md5(content).hexdigest()
    return dict(sorted(found.items()))


def _modules(origin: str, names: Sequence[str], where: Sequence[Path]) -> Iterator[str]:
    """The modules that `from origin import names` may load; names that are none lead nowhere."""
    yield origin
    yield from (f"{origin}.{name}" for name in names)
    place = _file(origin, where)
    stub = place[1].with_suffix(".pyi") if place else None
    if stub is None or not stub.is_file():
        return
    for level, module, imported in _parsed(stub.read_bytes())[0]:
        if "*" in names or set(names) & set(imported):
            yield _absolute(level, module, origin)
            yield from (f"{_absolute(level, module, origin)}.{name}" for name in imported if name in names)


def _absolute(level: int, module: str, package: str) -> str:
    """The full name of a module that code of `package` imports with `level` dots."""
    if level == 0:
        return module
    above = package.split(".")[: len(package.split(".")) - level + 1]
    return ".".join([*above, *filter(None, [module])])


def _file(module: str, where: Sequence[Path]) -> tuple[Path, Path] | None:
    """The folder that a module was found in, and its file; of the first folder that has its package.

    Of the first of `where` only kshot counts: an installed kshot has every other package beside it.
    """
    top, *below = module.split(".")
    for place, folder in enumerate(where):
        if place == 0 and top != PACKAGE:
            continue
        package = folder / top
        if package.is_dir() or package.with_suffix(".py").is_file():
            path = package.joinpath(*below)
            files = (path.with_name(f"{path.name}.py"), path / "__init__.py")
            return next(((folder, file) for file in reversed(files) if file.is_file()), None)
    return None


@functools.lru_cache(maxsize=1024)
def _parsed(content: bytes) -> tuple[tuple[tuple[int, str, tuple[str, ...]], ...], bool]:
    """The imports of a file, each (dots, module, names), and whether it holds more than a docstring."""
    tree = ast.parse(content)
    found: list[tuple[int, str, tuple[str, ...]]] = []
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            found += [(0, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module or "", tuple(alias.name for alias in node.names)))
        elif not isinstance(node, ast.expr):  # no expression holds an import
            todo += ast.iter_child_nodes(node)
    code = any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in tree.body)
    return tuple(found), code
