"""A finding of the doctor: one line with the problem, the requirement and the remedy."""

import dataclasses
from collections.abc import Callable

Mend = Callable[[], str]  # applies the remedy and returns a description; raises KshotError


@dataclasses.dataclass(frozen=True)
class Finding:
    """One problem.

    must        False: everything works, but a person may want to know
    by_itself   what `kshot doctor --mend` does; None if only a person can mend it
    """

    check: str
    found: str
    need: str
    mend: str
    must: bool = True
    by_itself: Mend | None = None

    def __str__(self) -> str:
        return " ".join(f"{self.found}; needs {self.need}; mend: {self.mend}".split())
