"""Reads the labels that a person types, and refuses a class name that is new: it may be misspelt."""

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kshot.errors import ParamsError

if TYPE_CHECKING:
    from kshot.serve.client import Client

ITEMS = r"\d+(?:,\d+)*="
# A class name may hold commas and blanks: it ends where the next items with their = begin.
LABEL = re.compile(rf"({ITEMS})(\S.*?)(?:(?:\s*,\s*|\s+)(?={ITEMS})|\s*,?$)", re.DOTALL)
NEAR = 3  # class names that a message proposes


def parse_labels(texts: Iterable[str]) -> dict[int, str]:
    """Item to class, from arguments such as `41=robin`, `42,57=wren` and `41=robin,42=wren`. Raises ParamsError."""
    labels: dict[int, str] = {}
    for text in texts:
        rest = text.strip()
        while rest:
            found = LABEL.match(rest)
            if found is None:
                raise ParamsError(f"{text!r} is no label; needs an item and its class, such as 41=robin or 41,42=robin")
            for item in map(int, found[1].removesuffix("=").split(",")):
                if labels.setdefault(item, found[2]) != found[2]:
                    raise ParamsError(f"item {item} is given two classes, {labels[item]!r} and {found[2]!r}; needs one")
            rest = rest[found.end() :]
    return labels


def check_known(names: Iterable[str], known: Sequence[str]) -> None:
    """Raise ParamsError for class names that are not among `known`, with the nearest of those."""
    new = sorted(set(names) - set(known))
    if not new:
        return
    near = nearest_names(new[0], known)
    hint = f"the nearest are {', '.join(near)}; " if near else ""
    others = f" and {len(new) - 1} more" if new[1:] else ""
    raise ParamsError(
        f"new class {new[0]}{others}: no gallery and no data version here has it; {hint}"
        "nothing is labelled yet; add --new-class to make it"
    )


def nearest_names(name: str, known: Sequence[str]) -> list[str]:
    """Known class names that `name` may be a misspelling of: the same last part or case, else those written alike."""
    folded = name.casefold()
    same = [one for one in known if folded in (one.casefold(), one.casefold().rpartition("/")[2])]
    ends = {one.casefold().rpartition("/")[2]: one for one in known} | {one.casefold(): one for one in known}
    alike = [ends[one] for one in difflib.get_close_matches(folded, ends, n=NEAR)]
    return list(dict.fromkeys([*same, *alike]))[:NEAR]


def known_classes(client: "Client", root: Path) -> list[str]:
    """The classes of the service's galleries, and of the current data version if `root` is a project's folder."""
    from kshot.errors import DataError
    from kshot.lifecycle.data import cached_images, data_versions

    names = {one.name for gallery in client.galleries() for one in gallery.classes}
    try:
        version = data_versions.current(root)
        names |= cached_images.classes(root, version.md5).keys() if version is not None else set()
    except DataError:
        pass  # the images lie elsewhere: only the galleries say which classes exist
    return sorted(names)
