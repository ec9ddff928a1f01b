"""Reading DVC's cache."""

import pytest

from kshot.lifecycle.data import dvc_cache


def test_a_log_file_gets_no_progress_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with dvc_cache.bar(1000, quiet=False) as advance:
        advance(1000)
    assert capsys.readouterr().err == ""
