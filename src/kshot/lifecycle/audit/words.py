"""Audits as a person reads them on a terminal."""

import textwrap

from kshot.lifecycle.audit.link import Link
from kshot.lifecycle.audit.model import ModelAudit

MARKS = {"verified": "ok", "broken": "BROKEN", "not recorded": "?"}
WIDTH = 110


def model_words(found: ModelAudit) -> str:
    """One paragraph a link, then what it comes to."""
    lines = [line for link in found.links for line in _link(link)]
    return "\n".join([*lines, "", verdict(found)])


def verdict(found: ModelAudit) -> str:
    """What the audit comes to, in a sentence."""
    subject = f"version {found.version}"
    broken = [link.name for link in found.failed if link.state == "broken"]
    unsaid = [link.name for link in found.failed if link.state == "not recorded"]
    if broken:
        also = f"; not recorded: {', '.join(unsaid)}" if unsaid else ""
        count = (
            f"{len(broken)} of {len(found.links)} links do not hold" if len(broken) > 1 else "one link does not hold"
        )
        return f"{subject}: {count}: {', '.join(broken)}{also}"
    if unsaid:
        return f"{subject}: not all of it was recorded: {', '.join(unsaid)}; what was holds"
    deep = "the data hashed again" if found.deep else "the data by existence and size: --deep hashes it again"
    return f"{subject}: all {len(found.links)} links hold ({deep})"


def _link(link: Link) -> list[str]:
    said = link.says
    if link.recorded or link.found:
        said += f" (recorded {link.recorded or 'nothing'}; found {link.found or 'nothing'})"
    head = f"  {link.name:<12} {MARKS[link.state]:<7} "
    return textwrap.wrap(
        said,
        WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )
