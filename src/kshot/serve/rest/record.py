"""The record of one request: its id, and the fields of its log line. It is stored in the ASGI scope."""

import uuid
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request

Scope = MutableMapping[str, Any]
KEY = "kshot.record"


@dataclass
class Record:
    """id      new for each request, so that a log line, a response and a logged image name one request
    fields  to log
    origin  of the page of another site that sent it, which the settings allow; None for the own page and programs
    """

    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    fields: dict[str, Any] = field(default_factory=dict)
    origin: str | None = None


def record_of(request: Request) -> Record:
    found: Record = request.scope[KEY]
    return found
