"""The result of a failed check: a link is broken only if its content differs from the record."""

import pytest

from kshot.errors import AuditFailed, CheckFailed, DataError
from kshot.lifecycle.audit.link import BROKEN, ERROR, NOT_CHECKED, NOT_RECORDED, VERIFIED, Link, checked, exit_code
from kshot.lifecycle.project.broken import Broken, NotChecked, NotRecorded
from kshot.lifecycle.tracking import store


def raising(error: Exception) -> Link:
    def check() -> str:
        raise error

    return checked("data", check)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (Broken("another", "a", "b"), BROKEN),
        (NotRecorded("never"), NOT_RECORDED),
        (NotChecked("a part"), NOT_CHECKED),
        (KeyError("key"), ERROR),
        (TypeError("None"), ERROR),
        (ValueError("no number"), ERROR),
        (AssertionError(), ERROR),
        (PermissionError(13, "Permission denied"), ERROR),
        (DataError("no data"), ERROR),
    ],
)
def test_an_error_that_no_check_raised_on_purpose_is_not_broken(error: Exception, state: str) -> None:
    link = raising(error)
    assert link.state == state and link.holds == (state == NOT_CHECKED)
    assert (link.recorded, link.found) == (("a", "b") if state == BROKEN else ("", ""))


def test_a_server_that_does_not_answer_ends_the_audit() -> None:
    with pytest.raises(store.Unreachable):
        raising(store.Unreachable("no answer"))


def test_the_traceback_is_printed_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KSHOT_DEBUG", raising=False)
    assert "KeyError: 'key' -- a defect; --debug shows where" in raising(KeyError("key")).says
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("KSHOT_DEBUG", "1")
    raising(KeyError("key"))
    assert "Traceback" in capsys.readouterr().err


def test_errors_have_an_exit_code_of_their_own_and_what_is_broken_comes_first() -> None:
    fine, wrong, error, unsaid = (Link("data", state, "") for state in (VERIFIED, BROKEN, ERROR, NOT_RECORDED))
    assert fine.holds and exit_code([]) == 0
    assert exit_code([error]) == CheckFailed.exit_code == 14
    assert exit_code([error, wrong]) == exit_code([unsaid]) == AuditFailed.exit_code
