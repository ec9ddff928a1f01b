"""Notes on class names that are hard to tell apart, or that not every system can store."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable

from kshot.first_few import first_few
from kshot.lifecycle.source_files.shown_names import printable
from kshot.lifecycle.sources.source_image import normal

RARE = 0.1  # share of the classes whose last folder's name may recur by chance
# Of a device, with any ending too, or with a character or an end that Windows refuses.
NOT_ON_WINDOWS = re.compile(r"(con|prn|aux|nul|com[1-9]|lpt[1-9])(\..*)?|.*[<>:\"|?*].*|.*\.", re.I | re.S)


def notes_on_names(labels: Collection[str], there: Collection[str] = ()) -> list[str]:
    """Notes on names of which at least one is not `there` yet."""
    return [*_of_one_name(labels, there), *_in_another_case(labels, there), *_not_on_windows(set(labels) - set(there))]


def in_several_forms(names: Iterable[str]) -> list[str]:
    """Notes on names that are one class, because they differ only in Unicode form."""
    forms = defaultdict(set)
    for name in names:
        forms[normal(name)].add(name)
    return [
        f"{len(same)} names are one class, {printable(name)}: they differ only in Unicode form"
        for name, same in sorted(forms.items())
        if len(same) > 1
    ]


def _in_another_case(labels: Collection[str], there: Collection[str]) -> list[str]:
    cases = defaultdict(list)
    for label in sorted(labels):
        cases[label.casefold()].append(label)
    alike = [
        " and ".join(map(printable, same)) for same in cases.values() if len(same) > 1 and not set(same) <= set(there)
    ]
    if not alike:
        return []
    return [
        f"class names that differ only in case stay separate classes: {first_few(alike, 3, '; ')}; if they are "
        "the same, give them one name; macOS and Windows put them into one folder"
    ]


def _not_on_windows(names: Collection[str]) -> list[str]:
    found = [printable(name) for name in sorted(names) if any(map(NOT_ON_WINDOWS.fullmatch, name.split("/")))]
    if not found:
        return []
    them = "it" if len(found) == 1 else "them"
    return [f"Windows has no folders called {first_few(found)}; rename {them} to use this data there"]


def _of_one_name(labels: Collection[str], there: Collection[str]) -> list[str]:
    """A line on classes whose last folders bear one name, of which at least one is not `there` yet.

    Case and separators do not count. Classes at one depth are named only where this is rare: in other data the folders
    of a class, such as character01, bear the same names in each group.
    """
    alike = defaultdict(list)
    for label in sorted(labels):
        alike[re.sub(r"[\W_]+", " ", label.rpartition("/")[2].casefold()).strip()].append(label)
    same = [names for names in alike.values() if len({name.casefold() for name in names}) > 1]
    rare = sum(map(len, same)) <= RARE * len(labels)
    found = [
        " and ".join(printable(name) for name in names)
        for names in same
        if (rare or len({name.count("/") for name in names}) > 1) and not set(names) <= set(there)
    ]
    if not found:
        return []
    return [
        f"classes of one name in two folders: {first_few(found, 3, '; ')}; if they are the same, put their images in "
        "one folder and add the source again, else each is tested against the other"
    ]
