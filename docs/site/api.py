"""The reference of the Python package: a page for each folder, with every public module in it."""

import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

# The commands have pages of their own. MLflow runs the served model's file; importing it elsewhere is an error.
NOT_IMPORTED = ("kshot.cli", "kshot.lifecycle.serving.served_model")


def modules(package: str, folder: Path) -> dict[str, list[str]]:
    """Folder (as a package's name) to the names of its public modules, for `package` in `folder` and all below it."""
    found: dict[str, list[str]] = {package: []}
    for module in pkgutil.iter_modules([str(folder)]):
        name = f"{package}.{module.name}"
        if module.name.startswith("_") or name in NOT_IMPORTED:
            continue
        if module.ispkg:
            found |= modules(name, folder / module.name)
        else:
            found[package].append(name)
    return found


def api_pages(tree: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Name of a folder to its page in reStructuredText, and `index`, which names all."""
    pages = {package: "\n".join(_page(package, names)) for package, names in tree.items()}
    return pages | {"index": "\n".join([*_title("Python package"), *_contents(sorted(pages))])}


def _page(package: str, names: Iterable[str]) -> Iterator[str]:
    yield from (*_title(package), f".. automodule:: {package}", "")
    for name in names:
        # A module's title is below the page's, so that it stands in the page's own table of contents.
        yield from (name.rpartition(".")[2], "-" * len(name), "", f".. automodule:: {name}", "   :members:", "")


def _title(text: str) -> tuple[str, str, str]:
    return text, "=" * len(text), ""


def _contents(names: Iterable[str]) -> Iterator[str]:
    yield from (".. toctree::", "   :maxdepth: 1", "", *(f"   {name}" for name in names), "")
