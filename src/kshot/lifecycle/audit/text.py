"""Renders audits as text for a terminal."""

import os
import sys
import textwrap
from collections.abc import Sequence

from kshot.lifecycle.audit.classes import ClassAudit
from kshot.lifecycle.audit.data import DataAudit, ModelOnData
from kshot.lifecycle.audit.link import BROKEN, ERASED, ERROR, NOT_CHECKED, NOT_RECORDED, VERIFIED, Link
from kshot.lifecycle.audit.model import ModelAudit
from kshot.lifecycle.audit.runs import RunOnData
from kshot.lifecycle.data.feedback_ledger import FeedbackImage
from kshot.lifecycle.gate.gate_rules import percent
from kshot.lifecycle.history.champions import ChampionPeriod
from kshot.lifecycle.history.events import minute
from kshot.lifecycle.project.tables import columns, terminal_width

MARKS = {
    VERIFIED: "ok",
    BROKEN: "BROKEN",
    NOT_RECORDED: "?",
    NOT_CHECKED: "in part",
    ERASED: "erased",
    ERROR: "ERROR",
}
WIDTH = 110
RUNS, PARAMS = 20, 6  # how many are shown; --csv and --html show all


def model_text(found: ModelAudit) -> str:
    """One paragraph per link, then the verdict."""
    lines = [line for link in found.links for line in _link(link)]
    return "\n".join([*lines, "", verdict(found)])


def data_text(found: DataAudit) -> str:
    """The data, the versions that were trained on it and the runs that used it."""
    lines = [_data_heading(found), "", *(line for link in found.links for line in _link(link))]
    if found.models:
        lines += ["", *columns([model_row(one) for one in found.models])]
    if found.runs:
        lines += ["", *_run_lines(found.runs)]
    return "\n".join([*lines, "", _data_verdict(found.links)])


def _data_heading(found: DataAudit) -> str:
    data = found.data
    return (
        f"data version {data.short}: {data.images:,} images of {data.classes:,} classes"
        + (f" from {data.source}, added {data.added[:10]}" if data.added else "")
        + (f" to data version {data.base[:8]}" if data.base else "")
        + (f", {data.note}" if data.note else "")
    )


def _run_lines(runs: Sequence[RunOnData]) -> list[str]:
    """The last runs with the first of their params, and how many of both are left out."""
    names = list(dict.fromkeys(name for run in runs for name in run.params))
    left = [f"{len(runs) - RUNS} earlier runs"] if len(runs) > RUNS else []
    left += [f"{len(names) - PARAMS} more params that differ"] if len(names) > PARAMS else []
    lines = columns([run_row(run, names[:PARAMS]) for run in runs[-RUNS:]])
    return [*lines, *([f"  and {' and '.join(left)}, all with --csv"] if left else [])]


def _data_verdict(links: Sequence[Link]) -> str:
    failed = _names(links, BROKEN, NOT_RECORDED)
    errors = _names(links, ERROR)
    troubles = [f"does not hold: {failed}"] if failed else []
    troubles += [f"kshot could not check: {errors}"] if errors else []
    erased = ", without the images that were erased" if _names(links, ERASED) else ""
    return "; ".join(troubles) or f"all of it holds{erased}"


def model_row(one: ModelOnData) -> dict[str, str]:
    """A version that was trained on the data, as columns."""
    return {
        "version": one.version,
        **{name: percent(mean) for name, mean in one.accuracy.items()},
        "decision": one.decision,
        "champion": "; ".join(period_text(period) for period in one.periods) or "never",
        "run": one.run_id[:8],
    }


def feedback_row(one: FeedbackImage) -> dict[str, str]:
    """An image that came from a request, as columns."""
    return {
        "class": one.class_name,
        "labelled by": one.by,
        "at": minute(one.at),
        "predicted": f"unknown, nearest {one.predicted}" if one.unknown else one.predicted,
        "by version": one.model_version,
        "gallery": one.gallery,
        "request": one.request,
        "image": one.md5,
    }


def run_row(run: RunOnData, names: Sequence[str]) -> dict[str, str]:
    """A run as columns, with these of its params."""
    return {
        "run": run.run_id[:8],
        "started": f"{run.started:%Y-%m-%d %H:%M}",
        "status": run.status,
        "version": run.version,
        **{name: run.params.get(name, "") for name in names},
    }


def champion_text(moment: str, found: Sequence[ChampionPeriod]) -> str:
    """The champions at that time, one line each."""
    if not found:
        return f"{moment}: there was no champion"
    return "\n".join(f"{moment}: version {one.version}, champion {period_text(one)}" for one in found)


def period_text(period: ChampionPeriod) -> str:
    """Start and end of the period."""
    return f"{minute(period.since.isoformat())} to {minute(period.until.isoformat()) if period.until else 'now'}"


def class_text(found: ClassAudit) -> str:
    """The data versions that contain a class, and the models that saw it."""
    data = [
        {"data version": one.md5[:8], "images": "its listing is gone" if one.images is None else str(one.images)}
        for one in found.data
    ]
    versions = [
        {
            "version": one.version,
            "data": one.data_version[:8],
            "alias": " ".join(one.aliases),
            "split": one.split,
            "class": one.how,
        }
        for one in found.models
    ]
    tables = [columns(table) for table in (data, versions) if table]
    return "\n\n".join([f"class {found.name!r}", *("\n".join(table) for table in tables)])


def verdict(found: ModelAudit) -> str:
    """The audit's result in a sentence, and how far it went."""
    if found.failed:
        return sentence(found)
    deep = "the data hashed again" if found.deep else "the data by existence and size: --deep hashes it again"
    return f"{sentence(found)} ({deep})"


def sentence(found: ModelAudit) -> str:
    """The audit's result."""
    subject = f"version {found.version}"
    broken, unsaid = _names(found.links, BROKEN), _names(found.links, NOT_RECORDED)
    errors, part, erased = (_names(found.links, state) for state in (ERROR, NOT_CHECKED, ERASED))
    also = f"; kshot could not check {errors}: an error of its own" if errors else ""
    if broken:
        failed = sum(link.state == BROKEN for link in found.links)
        count = f"{failed} of {len(found.links)} links do not hold" if failed > 1 else "one link does not hold"
        return f"{subject}: {count}: {broken}{f'; not recorded: {unsaid}' if unsaid else ''}{also}"
    if unsaid:
        return f"{subject}: not all of it was recorded: {unsaid}; what was holds{also}"
    if errors:
        return f"{subject}: nothing that was checked is broken{also}"
    left = f", as far as they could be checked: of {part} not all could" if part else ""
    left += f"; images were erased on purpose: {erased}" if erased else ""
    return f"{subject}: all {len(found.links)} links hold{left}"


def _names(links: Sequence[Link], *states: str) -> str:
    return ", ".join(link.name for link in links if link.state in states)


def _link(link: Link) -> list[str]:
    text = link.says
    if link.recorded or link.found:
        text += f" (recorded {link.recorded or 'nothing'}; found {link.found or 'nothing'})"
    head = f"  {link.name:<12} {MARKS[link.state]:<7} "
    return textwrap.wrap(
        text,
        # A terminal would fold longer lines again; without one, COLUMNS is what a person asked for.
        min(WIDTH, terminal_width()) if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )
