"""A link of the chain as a value: its text, and whether it was verified."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kshot.errors import AuditFailed, CheckFailed, KshotError
from kshot.lifecycle.project.broken import Broken, Erased, NotChecked, NotRecorded
from kshot.lifecycle.tracking import store
from kshot.redaction import redacted, traceback_of

VERIFIED, BROKEN, NOT_RECORDED, NOT_CHECKED = "verified", "broken", "not recorded", "not checked"
ERASED = "erased"
ERROR = "error"


@dataclass(frozen=True)
class Link:
    """One link of the chain.

    state     one of:
              verified      the record follows from content that still exists
              broken        it does not follow
              not recorded  nothing was stored that could be verified
              not checked   the part that could be checked holds; `says` names the rest and the reason
              erased        what is missing was erased on purpose, as the history says; the rest holds
              error         kshot could not check it, which says nothing about the record
    says      text of the link; for a broken one, what is wrong and what to do
    recorded  the recorded value of a broken link, '' if there is nothing to compare
    found     the value found instead, likewise
    """

    name: str
    state: str
    says: str
    recorded: str = ""
    found: str = ""

    @property
    def holds(self) -> bool:
        return self.state in (VERIFIED, NOT_CHECKED, ERASED)


def checked(name: str, check: Callable[[], str]) -> Link:
    """Run `check` and return its link: `check` returns the link's text, or raises an error that names the fault.

    Only a `Broken` that the check raises makes the link broken. Any other error says nothing about the record: the
    link is an ERROR, with a traceback under `kshot --debug`. Unreachable is passed on: without a server no audit is
    possible.
    """
    try:
        return Link(name, VERIFIED, check())
    except Erased as gone:
        return Link(name, ERASED, str(gone))
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
    """The command's exit code: AuditFailed's for a broken or unrecorded link, else CheckFailed's for errors, else 0."""
    if any(link.state != ERROR for link in failed):
        return AuditFailed.exit_code
    return CheckFailed.exit_code if failed else 0
