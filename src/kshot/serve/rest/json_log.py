"""The service's log: one JSON object a line, on stderr."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from kshot.redaction import redacted

LOG = logging.getLogger("kshot.serve")
REQUEST = "request"  # the event of every request: a constant, in which there is nothing to redact


class JsonLines(logging.Formatter):
    """A record as JSON: time, level, event, and the fields that it was logged with."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; text that could hold a password in an address is redacted."""
        fields: dict[str, Any] = record.__dict__.get("fields", {})
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": REQUEST if record.msg is REQUEST else redacted(record.getMessage()),
            **fields,
        }
        if record.exc_info:
            line["traceback"] = redacted(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=True)


def log_to_stderr() -> None:
    """Send the service's log, uvicorn's and Python's warnings, to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.captureWarnings(capture=True)
    for name, level in ((LOG.name, logging.INFO), ("uvicorn", logging.WARNING), ("py.warnings", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
