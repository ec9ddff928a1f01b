"""Finds the file that a manifest's path means, which is no file as it is written, and says so in a clause."""

import re
from pathlib import Path

from kshot.data.image_formats import image_endings
from kshot.lifecycle.source_files.shown_names import printable, quoted

MOST_FOLDERS = 100  # folders next to a manifest that are searched


def hint(folder: Path, name: str, file: Path) -> str:
    """A clause for the path `name` in a manifest in `folder`, read as `file`; '' if no file is found.

    - the name in another case, or without its ending
    - a path of another machine, whose last parts lie in `folder`
    - for a name alone, a file of that name, with an ending too, in a folder beside the manifest
    """
    if file.parent.is_dir():
        names = [one.name for one in file.parent.iterdir()]
        near = [one for one in names if one.casefold() == file.name.casefold()]
        if near:
            return f" (there is {quoted(near[0])}, written in another case)"
        longer = [one for one in names if Path(one).stem == file.name]
        if longer:
            return f" (there is {quoted(min(longer))}: write the ending)"
    if found := _last_parts(folder, name) or ("" if re.search(r"[\\/]", name) else _in_a_folder(folder, name)):
        return f" (there is {quoted(found)})"
    return "" if file.parent.is_dir() else f": there is no folder {printable(str(file.parent))}"


def _last_parts(folder: Path, name: str) -> str:
    parts = [part for part in re.split(r"[\\/]", name) if part]
    return next(
        ("/".join(parts[start:]) for start in range(1, len(parts)) if (folder / Path(*parts[start:])).is_file()), ""
    )


def _in_a_folder(folder: Path, name: str) -> str:
    inner = sorted(one for one in folder.iterdir() if one.is_dir())[:MOST_FOLDERS]
    for ending in ("", *sorted(image_endings())):
        for one in inner:
            if (one / f"{name}{ending}").is_file():
                return f"{one.name}/{name}{ending}"
    return ""
