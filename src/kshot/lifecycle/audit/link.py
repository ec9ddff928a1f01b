"""A link of the chain as a value: what it says, and whether it was verified."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kshot.errors import AuditFailed, CheckFailed, KshotError
from kshot.lifecycle.project.broken import Broken, NotChecked, NotRecorded
from kshot.lifecycle.tracking import store
from kshot.redaction import redacted, traceback_of

VERIFIED, BROKEN, NOT_RECORDED, NOT_CHECKED = "verified", "broken", "not recorded", "not checked"
ERROR = "error"


@dataclass(frozen=True)
class Link:
    """One link of the chain.

    state            verified: what was recorded follows from content that is still there; broken: it does not; not
                     recorded: nothing was kept that could be verified; not checked: what could be checked holds, and
                     `says` what could not and why; error: kshot could not check it, which says nothing about the record
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


def checked(name: str, check: Callable[[], str]) -> Link:
    """The link that `check` verifies: it returns the link in words, or raises what is wrong with it.

    Only a `Broken` that the check raises makes the link broken. Any other error says nothing about the record: the
    link is an ERROR, with a traceback under `kshot --debug`. A server that does not answer ends the audit: Unreachable.
    """
    try:
        return Link(name, VERIFIED, check())
    except Broken as wrong:
        return Link(name, BROKEN, str(wrong), wrong.recorded, wrong.found)
    except NotChecked as rest:
        return Link(name, NOT_CHECKED, str(rest))
    except NotRecorded as nothing:
        return Link(name, NOT_RECORDED, str(nothing))
    except store.Unreachable:
        raise
    except Exception as error:
        if os.environ.get("KSHOT_DEBUG"):
            print(traceback_of(error), end="", file=sys.stderr)
        what = redacted(" ".join(str(error).split()))[:300]
        if isinstance(error, KshotError):
            return Link(name, ERROR, f"it could not be checked: {what}")
        if isinstance(error, OSError):
            return Link(name, ERROR, f"it could not be checked, this machine did not let it be read: {what}")
        kind = type(error).__name__
        return Link(name, ERROR, f"kshot failed to check it: {kind}: {what} -- a defect; --debug shows where")


def exit_code(failed: Sequence[Link]) -> int:
    """How a command ends: as AuditFailed where a link is broken or not recorded, else as CheckFailed for errors, 0."""
    if any(link.state != ERROR for link in failed):
        return AuditFailed.exit_code
    return CheckFailed.exit_code if failed else 0
