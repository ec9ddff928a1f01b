"""Finds the files that importing a module reads: follows its imports through package folders."""

import ast
import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import kshot
from kshot import plugins
from kshot.errors import StageFailed

PACKAGE = "kshot"
Find = Callable[[str], tuple[Path, Path] | None]  # a module's folder and file, as `_file` returns them


def folders(root: Path) -> tuple[Path, ...]:
    """Where modules are searched: the folder of the imported kshot, then the project's src/."""
    return Path(kshot.__file__).resolve().parents[1], root.resolve() / plugins.SOURCE


def closure(module: str, where: Sequence[Path]) -> dict[str, str]:
    """Name to md5 of the files that importing `module` reads, directly or not, at the top or inside a function.

    A name that a package imports on first use is looked up in the `__init__.pyi` next to it.
    """
    todo, found, seen, find = [module], {}, set(), finder(where)
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        # Importing a.b.c runs a and a.b, too.
        todo += [name.rpartition(".")[0]] if "." in name else []
        place = find(name)
        if place is None:
            continue  # of another package, or a name in a module that is not itself a module
        folder, path = place
        content = path.read_bytes()
        try:
            imports, holds_code = parsed(content)
        except (SyntaxError, ValueError) as error:
            raise StageFailed(f"{path} is no Python that can be run: {error}; repair it, then run again") from error
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for level, origin, names in imports:
            todo += imported_modules(_absolute(level, origin, package), names, find)
        if holds_code:
            found[path.relative_to(folder).as_posix()] = hashlib.md5(content).hexdigest()
    return dict(sorted(found.items()))


def finder(where: Sequence[Path]) -> Find:
    """Looks up each module once: a package is imported in hundreds of places. Use a new one after an edit."""
    return functools.cache(functools.partial(_file, where=where))


def imported_modules(origin: str, names: Sequence[str], find: Find) -> Iterator[str]:
    """The modules that `from origin import names` may load; a name that is not a module is not found later."""
    yield origin
    yield from (f"{origin}.{name}" for name in names)
    place = find(origin)
    stub = place[1].with_suffix(".pyi") if place else None
    if stub is None or not stub.is_file():
        return
    for level, module, imported in parsed(stub.read_bytes())[0]:
        if "*" in names or set(names) & set(imported):
            yield _absolute(level, module, origin)
            yield from (f"{_absolute(level, module, origin)}.{name}" for name in imported if name in names)


def _absolute(level: int, module: str, package: str) -> str:
    """The full name of a module that code in `package` imports with `level` dots."""
    if level == 0:
        return module
    above = package.split(".")[: len(package.split(".")) - level + 1]
    return ".".join([*above, *filter(None, [module])])


def _file(module: str, where: Sequence[Path]) -> tuple[Path, Path] | None:
    """The folder in which a module was found, and its file; the first folder that has its top-level package counts.

    Only kshot is looked up in the first of `where`, because an installed kshot has every other package next to it.
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
def parsed(content: bytes) -> tuple[tuple[tuple[int, str, tuple[str, ...]], ...], bool]:
    """The imports of a file, each (dots, module, names), and whether it contains more than a docstring."""
    tree = ast.parse(content)
    found: list[tuple[int, str, tuple[str, ...]]] = []
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            found += [(0, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module or "", tuple(alias.name for alias in node.names)))
        elif not isinstance(node, ast.expr):  # no expression contains an import
            todo += ast.iter_child_nodes(node)
    code = any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in tree.body)
    return tuple(found), code
