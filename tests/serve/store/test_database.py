import logging

import pytest
from sqlalchemy import text

from kshot.serve.store import database


def test_a_reader_that_keeps_deleted_entries_in_the_log_is_reported(
    tmp_path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "BUSY_MS", 50)
    opened = database.open_database(f"sqlite:///{tmp_path / 'store.db'}")
    with caplog.at_level(logging.WARNING):
        with opened.reading() as reader:
            reader.execute(text("select * from galleries")).all()
            with opened.writing() as writer:
                writer.execute(text("create table later (number integer)"))
            opened.forget()
        assert "until the next deletion" in caplog.text
        caplog.clear()
        opened.forget()
        assert caplog.text == "" and (tmp_path / "store.db-wal").stat().st_size == 0
    opened.close()
