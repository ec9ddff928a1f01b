"""Reports the files of a source that are left out, by reason, and decides when a person has to agree."""

import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kshot.first_few import first_few
from kshot.lifecycle.source_files.shown_names import printable
from kshot.lifecycle.sources.annotations import OBJECTS

WIDTH = 80
MOST_NAMED = 30  # empty classes that are named
LARGEST_SHARE = 0.1  # of a source's files that may be left out without a person's agreement
ARCHIVE = "an archive inside the source: unpack it first"


@dataclass(frozen=True)
class LeftOut:
    """A file that is left out. `detail` is only shown for examples; `counts` is False for a system's files."""

    path: Path
    reason: str
    detail: str = ""
    counts: bool = True


def lines(files: int, left_out: Sequence[LeftOut], empty: Sequence[str]) -> list[str]:
    """The files left out of `files` files, as lines of at most 80 columns except for long names; empty if none are."""
    rows = []
    if left_out:
        rows.append(f"left out {len(left_out):,} of {files:,} files:")
    groups = Counter((one.reason, one.path.suffix) for one in left_out)
    for (reason, ending), count in groups.most_common():
        example = next(one for one in left_out if (one.reason, one.path.suffix) == (reason, ending))
        rows += filled(f"{count:,} {ending or 'without ending'}: {reason}", "  ", "    ")
        detail = f" ({example.detail})" if example.detail else ""
        rows += filled(f"{'such as ' if count > 1 else ''}{printable(example.path.as_posix())}{detail}", "    ", "    ")
    if empty:
        rows += filled(empty_classes(empty, MOST_NAMED), "", "  ")
    return rows


def reasons(left_out: Sequence[LeftOut], empty: Sequence[str]) -> tuple[str, ...]:
    """One line per reason and ending, most files first, with an example; then the classes that come out empty."""
    rows = []
    groups = Counter((one.reason, one.path.suffix) for one in left_out)
    for (reason, ending), count in groups.most_common():
        example = next(one for one in left_out if (one.reason, one.path.suffix) == (reason, ending))
        detail = f" ({example.detail})" if example.detail else ""
        such = "such as " if count > 1 else ""
        path = printable(example.path.as_posix())
        rows.append(f"{count:,} {ending or 'without ending'}: {reason}; {such}{path}{detail}")
    return (*rows, *([empty_classes(empty, 3)] if empty else []))


def consent_needed(files: int, left_out: Sequence[LeftOut], empty: Sequence[str]) -> str:
    """Why a person has to agree to the files left out, '' if not needed."""
    counted = [one for one in left_out if one.counts]
    of_all = files - (len(left_out) - len(counted))
    reasons = []
    if len(counted) > LARGEST_SHARE * of_all:
        groups = Counter((one.reason, one.path.suffix) for one in counted)
        # An archive may hold all the images, however many other files are next to it.
        (reason, ending), count = max(groups.items(), key=lambda one: (one[0][0] == ARCHIVE, one[1]))
        others = ", and others" if len(groups) > 1 else ""
        rows = f"{count:,} {ending or 'without ending'}: {reason}{others}"
        reasons.append(f"{of_files(len(counted), of_all)} left out ({rows})")
    elif archives := [one for one in counted if one.reason == ARCHIVE]:
        reasons.append(f"{printable(archives[0].path.as_posix())} is {ARCHIVE}")
    elif annotated := [one for one in counted if one.reason.endswith(OBJECTS)]:
        # The labels are in it, so that the folders may be no classes: train2017/ of COCO.
        reasons.append(f"{printable(annotated[0].path.as_posix())} has {annotated[0].reason}")
    if empty:
        reasons.append(empty_classes(empty, 3))
    return "; ".join(reasons)


def summary(files: int, left_out: Sequence[LeftOut]) -> list[str]:
    """One line on the files left out of `files` files, not counting an operating system's own; empty if none are."""
    counted = [one for one in left_out if one.counts]
    if not counted:
        return []
    reason = counted[0].reason + (f" ({counted[0].detail})" if counted[0].detail else "")
    return [f"{of_files(len(counted), files)} left out, such as {printable(str(counted[0].path))}: {reason}"]


def of_files(part: int, whole: int) -> str:
    """So many of a source's files, with their verb: "2 of 5 files are", "its only file is"."""
    return "its only file is" if part == whole == 1 else f"{part:,} of {whole:,} files {'is' if part == 1 else 'are'}"


def empty_classes(empty: Sequence[str], most: int) -> str:
    """A message that these classes have no image, naming at most `most` of them."""
    names = first_few([printable(name) for name in empty], most)
    return f"class {names} comes out empty" if len(empty) == 1 else f"classes {names} come out empty"


def filled(text: str, first: str = "", rest: str = "  ") -> list[str]:
    """The text wrapped to 80 columns; only a single long word may exceed them."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
