"""What the doctor found: one line that says what is, what is needed, and how to mend it."""

import dataclasses
from collections.abc import Callable, Sequence

SHOWN = 5
Mend = Callable[[], str]  # does it, and says what was done; raises KshotError


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    must        False: it works, and a person may want to know
    by_itself   what `kshot doctor --mend` does; None where only a person can
    """

    check: str
    found: str
    need: str
    mend: str
    must: bool = True
    by_itself: Mend | None = None

    def __str__(self) -> str:
        return " ".join(f"{self.found}; needs {self.need}; mend: {self.mend}".split())


def shown(names: Sequence[str]) -> str:
    """The first of several names, and how many more there are."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
