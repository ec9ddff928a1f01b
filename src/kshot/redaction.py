"""Removes passwords, tokens and webhook paths from every text that is printed, logged or stored.

`redacted` is the one function that does so. Every `KshotError` calls it; `guard` applies it to logs and tracebacks.
"""

import logging
import os
import re
import sys
import threading
import traceback
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

HIDDEN = "***"
# Schemes whose host and path are not secret. In all others (Apprise's slack://, tgram://, ...) the whole address is.
OPEN_SCHEMES = re.compile(
    r"(git\+)?(https?|ssh|git|file)|wss?|ftps?|sftp|scp|rsync|tcp|grpc|ray|(sqlite|postgres|postgresql|mysql|mssql)(\+\w+)?"
    r"|s3|gs|gcs|az|azure|abfss?|wasbs|oss|gdrive|hdfs|(webdav|webhdfs)s?|remote|dbfs|dvc|mlflow-artifacts|models|runs"
)
NAMED_USERS = re.compile(r"(git\+)?ssh|git|sftp|scp|rsync|hdfs|abfss?|wasbs")  # `git@` there is no secret
ADDRESS = re.compile(r"\b([a-z][a-z0-9+.-]*)://([^\s'\"<>`]*)", re.IGNORECASE)
# A password that contains a raw slash ends at the last @; a port is not a password.
USER = re.compile(r"^(?:[^/?#@]*@|[^/?#@:]*:(?!\d+(?:[/?#]|$))\S*@)+")
QUERY = re.compile(
    r"([?&#;][\w.\-]*(?:token|key|secret|passw|pwd|sig|auth|credential|session)[\w.\-]*=)[^&\s'\"<>`]+", re.IGNORECASE
)
HEADER = re.compile(r"\b(bearer|basic)\s+[a-z0-9._~+/=\-]{8,}", re.IGNORECASE)
SIGN_IN = re.compile(r"(/kshot-sign-in#)[^\s'\"<>`]+")  # of the servers that kshot starts
HOOK_HOST = re.compile(r"(?:^|\.)(?:hooks?|webhooks?)\.|webhook", re.IGNORECASE)
HOOK_PATH = re.compile(r"^/(?:services|triggers?|workflows|api/webhooks|v1/spaces|webhook\w*|hooks?|bot\d+:)", re.I)
VARIABLE = re.compile(r"PASSWORD|PASSWD|TOKEN|SECRET|API_KEY|AUTH_STRING|ACCESS_KEY$|PRIVATE_KEY", re.IGNORECASE)
ADDRESSES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "KSHOT_NOTIFY", "PREFECT_API_URL", "PREFECT_UI_URL")
# Minimum length, in characters, of a secret that is searched for by itself: shorter ones may be part of ordinary words.
SHORTEST, SHORTEST_VARIABLE, SHORTEST_PART = 6, 8, 16


def redacted(text: str) -> str:
    """Return the text without passwords, tokens and webhook paths.

    Removes the user part of an address, secret-looking values in its query, the path of a webhook, everything after an
    Apprise scheme, and, wherever they occur, the secrets in the environment.

    >>> redacted("http://ada:geheim@mlflow.example.org/api?token=abc did not answer")
    'http://***@mlflow.example.org/api?token=*** did not answer'
    >>> redacted("https://hooks.slack.com/services/T0/B0/xyz")
    'https://hooks.slack.com/***'
    """
    if "://" in text:
        text = ADDRESS.sub(_address, text)
    text = SIGN_IN.sub(rf"\1{HIDDEN}", text)
    text = HEADER.sub(rf"\1 {HIDDEN}", QUERY.sub(rf"\1{HIDDEN}", text))
    for secret in _of_environment():
        text = text.replace(secret, HIDDEN)
    return text


def shareable(address: str) -> str:
    """Return the address for a link that others see: redacted and without the user part, so that it still works."""
    return redacted(address).replace(f"{HIDDEN}@", "")


def redact_error(error: BaseException) -> None:
    """Redact the texts of an exception and of its causes in place, because other tools store and print them."""
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        one = left.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.args = tuple(redacted(part) if isinstance(part, str) else part for part in one.args)
        left += [one.__cause__, one.__context__]


def traceback_of(error: BaseException) -> str:
    """The traceback as Python prints it, redacted."""
    return redacted("".join(traceback.format_exception(error)))


def guard() -> None:
    """Redact all log records of this process and the tracebacks it ends with, whichever library logs or raises."""
    logging.setLogRecordFactory(RedactedRecord)
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _print
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = lambda ended: _print(ended.exc_type, ended.exc_value or ended.exc_type())


class RedactedRecord(logging.LogRecord):
    """A log record whose message and traceback are redacted before any handler sees them."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        if self.exc_info and isinstance(self.exc_info, tuple) and self.exc_info[1] is not None:
            self.exc_text = traceback_of(self.exc_info[1]).removesuffix("\n")  # formatters use it unchanged

    def getMessage(self) -> str:
        """The message with its arguments, redacted."""
        return redacted(super().getMessage())


def _print(kind: type[BaseException], error: BaseException, trace: TracebackType | None = None) -> None:
    print(traceback_of(error), end="", file=sys.stderr, flush=True)


def _address(found: re.Match[str]) -> str:
    scheme, rest = found.group(1), found.group(2)
    kind = scheme.lower()
    if OPEN_SCHEMES.fullmatch(kind) is None:
        return f"{scheme}://{HIDDEN}" if rest else f"{scheme}://"
    user = USER.match(rest)
    shown = rest
    if user is not None:
        shown = rest[user.end() :]
        named = NAMED_USERS.fullmatch(kind) is not None and ":" not in user.group()
        user_part = user.group() if named else f"{HIDDEN}@"
    else:
        user_part = ""
    if kind in ("http", "https"):
        host, slash, path = shown.partition("/")
        if (HOOK_HOST.search(host) and path) or HOOK_PATH.match(f"{slash}{path}"):
            shown = f"{host}/{HIDDEN}"
    return f"{scheme}://{user_part}{shown}"


def _of_environment() -> list[str]:
    """The secrets in the environment, longest first."""
    found: set[str] = set()
    for name, value in os.environ.items():
        if VARIABLE.search(name) and len(value) >= SHORTEST_VARIABLE and not value.startswith("/"):
            found.add(value)
    for name in ADDRESSES:
        for address in os.environ.get(name, "").split():
            found |= _of_address(address, all_of_it=name == "KSHOT_NOTIFY")
    found |= {unquote(secret) for secret in found}
    return sorted((secret for secret in found if len(secret) >= SHORTEST), key=len, reverse=True)


def _of_address(address: str, *, all_of_it: bool) -> set[str]:
    """The password of an address; with `all_of_it` (notification URLs) also its path and query, possibly tokens."""
    try:
        parts = urlsplit(address)
        found = {parts.password or ""}
    except ValueError:
        return set()
    if all_of_it:
        found |= {part for part in parts.path.split("/") if len(part) >= SHORTEST_PART}
        found |= {part for part in (parts.path.strip("/"), parts.query) if len(part) >= SHORTEST_VARIABLE}
    return found
