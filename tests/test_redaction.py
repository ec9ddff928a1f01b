"""No password, token or webhook path is left in a text, a log line, a traceback or an error; other text stays."""

import io
import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from kshot import cli
from kshot.errors import DataError, KshotError
from kshot.flows import links
from kshot.redaction import RedactedRecord, redact_error, redacted, shareable

SECRET = "geheim-Zd81"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"MLflow's server http://ada:{SECRET}@host:5000/x did not answer", "server http://***@host:5000/x did"),
        (f"https://{SECRET}@github.com/a/b.git", "https://***@github.com/a/b.git"),
        (f"https://ada:{SECRET}@host@evil/x", "https://***@evil/x"),
        (f"http://ada:a/{SECRET}@host/x", "http://***@host/x"),
        (f"postgresql+psycopg2://kshot:{SECRET}@db/mlflow", "postgresql+psycopg2://***@db/mlflow"),
        (f"https://host/api?token={SECRET}&page=2", "https://host/api?token=***&page=2"),
        (f"https://host/x?a=1&X-Amz-Signature={SECRET}", "?a=1&X-Amz-Signature=***"),
        (f"Max retries exceeded with url: /x?access_token={SECRET}", "url: /x?access_token=***"),
        (f"https://hooks.slack.com/services/T00/B00/{SECRET}", "https://hooks.slack.com/***"),
        (f"https://discord.com/api/webhooks/123/{SECRET}", "https://discord.com/***"),
        (f"https://firm.webhook.office.com/webhookb2/{SECRET}", "https://firm.webhook.office.com/***"),
        (f"https://api.telegram.org/bot123:{SECRET}/sendMessage", "https://api.telegram.org/***"),
        (f"slack://{SECRET}/#builds and mailto://ada:{SECRET}@mail.example.org", "slack://*** and mailto://***"),
        (f"Authorization: Bearer {SECRET}{SECRET}", "Authorization: Bearer ***"),
    ],
)
def test_a_secret_is_taken_out_and_the_place_stays(text: str, told: str) -> None:
    assert SECRET not in redacted(text) and told in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////home/ada/project/mlruns/mlflow.db cannot be used",
        "http://127.0.0.1:5000/#/experiments/1/runs/abc, tried for 6 s",
        "ssh://git@github.com/a/b and git@github.com:a/b.git",
        "models:/kshot@champion and s3://bucket/mlflow/1/abc",
        "https://example.org/path@v1?page=2; ada@example.org wrote it",
        "file:///data/project/mlruns/artifacts",
        "5w1s: 81.9 % >= required 30 %",
    ],
)
def test_a_text_without_a_secret_is_as_it_was(text: str) -> None:
    assert redacted(text) == text


def test_secrets_of_the_environment_are_found_without_their_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ada:{SECRET}@host")
    monkeypatch.setenv("KSHOT_NOTIFY", "https://own.example.org/a/very-long-channel-name-7 ntfy://topic")
    monkeypatch.setenv("PREFECT_API_KEY", "pnu_12345678")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    told = redacted(f"password {SECRET} of ada was false; url: /a/very-long-channel-name-7; key pnu_12345678")
    assert told == "password *** of ada was false; url: /***; key ***"


def test_an_error_of_kshot_and_what_it_came_from_hold_no_secret() -> None:
    assert str(KshotError(f"http://a:{SECRET}@h is down")) == "http://***@h is down"
    try:
        try:
            raise OSError(f"http://a:{SECRET}@h refused")
        except OSError as error:
            raise DataError("no data") from error
    except DataError as error:
        redact_error(error)
        assert SECRET not in str(error.__cause__)


def test_a_link_for_others_has_no_user_part_and_still_leads_there() -> None:
    assert shareable(f"http://ada:{SECRET}@host:4200/flow-run/1") == "http://host:4200/flow-run/1"


def test_what_any_library_logs_is_redacted_with_its_traceback() -> None:
    stream, before = io.StringIO(), logging.getLogRecordFactory()
    logging.setLogRecordFactory(RedactedRecord)
    logger = logging.getLogger("some.library")
    logger.addHandler(handler := logging.StreamHandler(stream))
    logger.propagate = False
    try:
        raise ValueError(f"http://a:{SECRET}@h/x")
    except ValueError:
        logger.exception("cannot reach %s", f"http://a:{SECRET}@h")
    finally:
        logging.setLogRecordFactory(before)
        logger.removeHandler(handler)
    assert SECRET not in stream.getvalue()
    assert "cannot reach http://***@h" in stream.getvalue() and "ValueError: http://***@h/x" in stream.getvalue()


def test_a_process_that_is_guarded_ends_with_a_redacted_traceback() -> None:
    code = f"from kshot.redaction import guard; guard(); raise ValueError('http://a:{SECRET}@h')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1 and "ValueError: http://***@h" in ended.stderr and SECRET not in ended.stderr


def test_a_server_with_a_password_is_told_without_it_also_in_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ada:{SECRET}@127.0.0.1:9")
    assert cli.main(["--debug", "models"]) == 7
    told = capsys.readouterr()
    assert "Traceback" in told.err and "http://***@127.0.0.1:9 did not answer" in told.err
    assert SECRET not in told.err + told.out


def test_links_between_the_runs_hold_no_password(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run = SimpleNamespace(info=SimpleNamespace(experiment_id="1"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ada:{SECRET}@mlflow.example.org/")
    monkeypatch.setattr(links.store, "connect", lambda root: "somewhere")
    monkeypatch.setattr(links.store, "client", lambda: SimpleNamespace(get_run=lambda run_id: run))
    assert links.mlflow_address(tmp_path, "ab") == "http://mlflow.example.org/#/experiments/1/runs/ab"
    monkeypatch.setattr(links, "url_for", lambda *_, **__: f"http://ada:{SECRET}@prefect.example.org/runs/1")
    assert SECRET not in str(links.to_prefect()) and "http://prefect.example.org/runs/1" in str(links.to_prefect())
