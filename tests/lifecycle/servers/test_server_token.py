"""The token of the servers: one for all processes, readable only by its user."""

import multiprocessing
import stat
from pathlib import Path

from kshot.lifecycle.servers.server_token import FILE, SHORTEST, token


def test_it_is_random_kept_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    first = token(tmp_path / "one")
    assert token(tmp_path / "one") == first != token(tmp_path / "other")
    assert len(first) >= SHORTEST
    assert stat.S_IMODE((tmp_path / "one" / FILE).stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "one").iterdir()] == [FILE]


def test_a_copy_that_everybody_may_read_is_closed_again(tmp_path: Path) -> None:
    first = token(tmp_path)
    (tmp_path / FILE).chmod(0o644)
    assert token(tmp_path) == first
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_file_that_was_cut_off_is_replaced(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("kshot:")
    assert len(token(tmp_path)) >= SHORTEST


def test_processes_that_ask_at_once_get_the_same(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert len(set(pool.map(token, [tmp_path] * 12))) == 1
