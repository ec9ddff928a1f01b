"""How the verbs of a running service find the one of their project."""

import json
import os
from argparse import Namespace
from pathlib import Path

import pytest

from kshot.cli.service.running_service import AT, address
from kshot.serve.running_address import FILE, http_address, recorded, running_at

NEVER = 2**22 + 1  # above Linux's largest process number


def test_the_address_is_there_while_the_service_runs_and_no_longer(tmp_path: Path) -> None:
    assert running_at(tmp_path) is None
    with recorded(tmp_path, "127.0.0.1", 8123):
        assert running_at(tmp_path) == "http://127.0.0.1:8123"
    assert running_at(tmp_path) is None and not (tmp_path / FILE).exists()


def test_a_service_on_all_interfaces_is_reached_by_loopback(tmp_path: Path) -> None:
    with recorded(tmp_path, "0.0.0.0", 80):
        assert running_at(tmp_path) == "http://127.0.0.1:80"
    with recorded(tmp_path, "::", 80):
        assert running_at(tmp_path) == "http://[::1]:80"
    assert http_address("fe80::1", 8000) == "http://[fe80::1]:8000"


def test_a_service_that_ends_leaves_the_address_of_a_later_one(tmp_path: Path) -> None:
    with recorded(tmp_path, "127.0.0.1", 1):
        later = json.dumps({"at": "http://127.0.0.1:2", "process": os.getppid()})
        (tmp_path / FILE).write_text(later)
    assert running_at(tmp_path) == "http://127.0.0.1:2"


@pytest.mark.parametrize("left", [json.dumps({"at": "http://127.0.0.1:2", "process": NEVER}), "{", "[]", "{}", ""])
def test_what_a_killed_service_left_is_no_address(tmp_path: Path, left: str) -> None:
    (tmp_path / FILE).parent.mkdir(parents=True)
    (tmp_path / FILE).write_text(left)
    assert running_at(tmp_path) is None


def test_a_persons_address_comes_before_the_environments_and_that_before_the_projects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KSHOT_AT", raising=False)
    assert address(tmp_path, Namespace(at=None)) == AT
    with recorded(tmp_path, "127.0.0.1", 8123):
        assert address(tmp_path, Namespace(at=None)) == "http://127.0.0.1:8123"
        monkeypatch.setenv("KSHOT_AT", "http://b:1")
        assert address(tmp_path, Namespace(at=None)) == "http://b:1"
        assert address(tmp_path, Namespace(at="http://a:1")) == "http://a:1"
