"""What a check of a record raises: the record is broken, holds nothing to check, or was checked in part."""

from kshot.errors import KshotError
from kshot.redaction import redacted


class Broken(KshotError):
    """Raised where a link is found broken; `kshot.lifecycle.audit.link.checked` makes the link of it."""

    def __init__(self, says: str, recorded: object = "", found: object = "") -> None:
        super().__init__(says)
        self.recorded, self.found = redacted(str(recorded)), redacted(str(found))


class NotRecorded(KshotError):
    """Raised where nothing was kept that a link could be verified by."""


class NotChecked(KshotError):
    """Raised at the end of a check that found nothing wrong and had to leave something out: what, and why."""
