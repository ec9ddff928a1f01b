"""A link of the chain as a value: what it says, and whether it was verified."""

from collections.abc import Callable
from dataclasses import dataclass

from kshot.errors import KshotError

VERIFIED, BROKEN, NOT_RECORDED, NOT_CHECKED = "verified", "broken", "not recorded", "not checked"


@dataclass(frozen=True)
class Link:
    """One link of the chain.

    state            verified: what was recorded follows from content that is still there; broken: it does not; not
                     recorded: nothing was kept that could be verified; not checked: what could be checked holds, and
                     `says` what could not and why
    says             the link in words; of a broken one what is wrong with it and what to do
    recorded, found  of a broken link, '' where there is nothing to set against each other
    """

    name: str
    state: str
    says: str
    recorded: str = ""
    found: str = ""

    @property
    def holds(self) -> bool:
        return self.state in (VERIFIED, NOT_CHECKED)


class Broken(KshotError):
    """Raised where a link is found broken; `checked` makes the link of it."""

    def __init__(self, says: str, recorded: object = "", found: object = "") -> None:
        super().__init__(says)
        self.recorded, self.found = str(recorded), str(found)


class NotRecorded(KshotError):
    """Raised where nothing was kept that a link could be verified by."""


class NotChecked(KshotError):
    """Raised at the end of a check that found nothing wrong and had to leave something out: what, and why."""


def checked(name: str, check: Callable[[], str]) -> Link:
    """The link that `check` verifies: it returns the link in words, or raises what is wrong with it."""
    try:
        return Link(name, VERIFIED, check())
    except Broken as wrong:
        return Link(name, BROKEN, str(wrong), wrong.recorded, wrong.found)
    except NotChecked as rest:
        return Link(name, NOT_CHECKED, str(rest))
    except NotRecorded as nothing:
        return Link(name, NOT_RECORDED, str(nothing))
    except (KshotError, OSError, ValueError, KeyError, TypeError) as error:
        # A file that holds something else than it did when it was written: whoever changed it, the link does not hold.
        what = " ".join(str(error).split())[:300]
        return Link(name, BROKEN, what if isinstance(error, KshotError) else f"what was kept cannot be read: {what}")
