"""Copies the code of a model's plug-ins into the registered model and redirects its imports to the copies."""

import ast
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from kshot import plugins
from kshot.lifecycle.tracking import plugin_code
from kshot.nets.embedding_settings import EmbeddingSettings
from kshot.plugins import Plugin

FOLDER = "plugin_code"  # in the package in the registered model
PACKAGE = "kshot"


def needed(root: Path, settings: EmbeddingSettings, classifier: str) -> tuple[Plugin, ...]:
    """The plug-ins that a model predicts with: its backbone, its method, its classifier `classifier`.

    `settings`: the settings saved with the embedding.
    """
    names = {"backbones": settings.backbone, "methods": settings.method["name"] if settings.method else ""}
    found = [plugins.find(kind, str(name), root=root) for kind, name in {**names, "classifiers": classifier}.items()]
    return tuple(plugin for plugin in found if plugin is not None)


def files(root: Path, chosen: Collection[Plugin]) -> dict[str, Path]:
    """Each file of the plug-ins by name: those the project's modules read, and all of an installed distribution."""
    found: dict[str, Path] = {}
    for plugin in chosen:
        if plugin.distribution:
            found |= plugin_code.installed_files(plugin.distribution, [plugin.module])
        else:
            found |= plugin_code.own_files(root, plugin)
    return dict(sorted(found.items()))


def write(package: Path, chosen: Collection[Plugin], copied: Mapping[str, Path]) -> None:
    """Copy the files into `package`, the copy of kshot, where `kshot.plugins` finds them by their names."""
    inside = f"{package.name}.{FOLDER}"
    tops = {name.partition("/")[0].removesuffix(".py") for name in copied}
    moved = {**{top: f"{inside}.{top}" for top in tops}, PACKAGE: package.name}
    for name, path in copied.items():
        place = package / FOLDER / name
        place.parent.mkdir(parents=True, exist_ok=True)
        content = path.read_bytes()
        place.write_bytes(led_to(content, moved) if path.suffix == ".py" else content)
    listed = [asdict(replace(plugin, target=f"{inside}.{plugin.target}")) for plugin in chosen]
    (package / plugins.INSIDE.name).write_text(json.dumps(listed, indent=1), encoding="utf-8")


def requirements(root: Path, chosen: Collection[Plugin]) -> list[str]:
    """The packages that the plug-ins require, pinned to the installed versions; kshot is part of the model."""
    found = set()
    for plugin in chosen:
        for line in plugins.requirements(root, plugin):
            try:
                wanted = Requirement(line)
            except InvalidRequirement:
                continue
            if wanted.name == PACKAGE or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
                continue
            found.add(f"{wanted.name}=={metadata.version(wanted.name)}")
    return sorted(found)


def led_to(content: bytes, moved: Mapping[str, str]) -> bytes:
    """Redirect the imports of the top-level packages in `moved` in Python source to their new places.

    >>> led_to(b"import shop.net, os\\nfrom kshot.distances import x\\n", {"shop": "k.shop", "kshot": "k"}).decode()
    'import k.shop.net; import k.shop as shop; import os\\nfrom k.distances import x\\n'
    """
    lines = content.splitlines(keepends=True)
    found = [node for node in ast.walk(ast.parse(content)) if isinstance(node, ast.Import | ast.ImportFrom)]
    for node in sorted(found, key=lambda one: (one.lineno, one.col_offset), reverse=True):
        text = "; ".join(_statements(node, moved))
        if not text:
            continue
        assert node.end_lineno is not None and node.end_col_offset is not None
        first, last = node.lineno - 1, node.end_lineno - 1
        ends = lines[last][node.end_col_offset :]
        lines[first : last + 1] = [lines[first][: node.col_offset] + text.encode() + ends]
    return b"".join(lines)


def _statements(node: ast.Import | ast.ImportFrom, moved: Mapping[str, str]) -> Iterator[str]:
    """The statements that replace an import; none if it does not change."""
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    level = node.level if isinstance(node, ast.ImportFrom) else 0
    if level or not any(name.partition(".")[0] in moved for name in names):
        return
    if isinstance(node, ast.ImportFrom):
        yield ast.unparse(ast.ImportFrom(_place(names[0], moved), node.names, 0))
        return
    for alias in node.names:
        top, dot, _ = alias.name.partition(".")
        if top not in moved:
            yield ast.unparse(ast.Import([alias]))
        elif alias.asname:
            yield f"import {_place(alias.name, moved)} as {alias.asname}"
        else:
            # `import shop.net` binds shop.
            yield from [f"import {_place(alias.name, moved)}"] if dot else []
            yield f"import {moved[top]} as {top}"


def _place(name: str, moved: Mapping[str, str]) -> str:
    top, dot, rest = name.partition(".")
    return f"{moved.get(top, top)}{dot}{rest}"
