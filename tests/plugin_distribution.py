"""A distribution of plug-ins as an installer leaves it in a folder, and a project with its own plug-ins."""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

NAME, VERSION = "kshot-extra", "1.2.0"


def install(
    folder: Path,
    files: Mapping[str, str],
    entries: Mapping[str, Mapping[str, str]],
    *,
    name: str = NAME,
    version: str = VERSION,
    requires: tuple[str, ...] = (),
) -> Path:
    """Write package and .dist-info into `folder`, which like site-packages has to be on sys.path.

    entries: kind, such as "losses", to name and object.
    """
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    metadata += [f"Requires-Dist: {one}" for one in requires]
    whole = {
        **files,
        f"{info}/METADATA": "\n".join([*metadata, ""]),
        f"{info}/entry_points.txt": groups(entries, "[kshot.{}]", "{} = {}"),
    }
    rows = []
    for place, text in whole.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text, encoding="utf-8")
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{place},sha256={digest},{len(text)}\n")
    (folder / info / "RECORD").write_text("".join(rows) + f"{info}/RECORD,,\n", encoding="utf-8")
    return folder


def of_project(root: Path, files: Mapping[str, str], entries: Mapping[str, Mapping[str, str]]) -> Path:
    """Write src/ and pyproject.toml of a project."""
    for place, text in files.items():
        (root / "src" / place).parent.mkdir(parents=True, exist_ok=True)
        (root / "src" / place).write_text(text, encoding="utf-8")
    text = groups(entries, '[project.entry-points."kshot.{}"]', '{} = "{}"')
    (root / "pyproject.toml").write_text(f'[project]\nname = "shop"\nversion = "1"\n\n{text}', encoding="utf-8")
    return root


def groups(entries: Mapping[str, Mapping[str, str]], head: str, line: str) -> str:
    """The entries as sections of an INI or TOML file."""
    parts = [
        "\n".join([head.format(kind), *(line.format(name, target) for name, target in named.items()), ""])
        for kind, named in entries.items()
    ]
    return "\n".join(parts)
