"""Exceptions of a check: the record is broken, contains nothing to check, or could be checked only in part."""

from kshot.errors import KshotError
from kshot.redaction import redacted


class Broken(KshotError):
    """A link is broken; `kshot.lifecycle.audit.link.checked` turns this into a link."""

    def __init__(self, says: str, recorded: object = "", found: object = "") -> None:
        super().__init__(says)
        self.recorded, self.found = redacted(str(recorded)), redacted(str(found))


class Erased(Broken):
    """Content is gone because a person erased it. `digests`: sha256 of each erasure in data/erasures.jsonl."""

    def __init__(self, says: str, digests: tuple[str, ...]) -> None:
        super().__init__(says)
        self.digests = digests


class NotRecorded(KshotError):
    """Nothing was stored that could verify a link."""


class NotChecked(KshotError):
    """A check found no fault but could not check everything; the message names the rest and the reason."""
