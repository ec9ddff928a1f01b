"""`kshot models`, `kshot compare`, `kshot history`: show the versions and the decisions."""

import argparse
import dataclasses
import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kshot.lifecycle.gate.change import Change
    from kshot.lifecycle.gate.comparison import Comparison
    from kshot.lifecycle.history.events import Event
    from kshot.lifecycle.registry.listing import Model

CLASSES = 10  # shown of those that got worse, and of those that improved
REASONS = 3  # shown for an event
CAVEAT = "intervals are over episodes of these classes and images: other classes or images are not covered"

COMPARE = """\
Compare two registered versions on the same test episodes, pair by pair: B - A by protocol and
by group with 95 % intervals, and the classes that moved; and how often `kshot serve --shadow`
found that they label an image differently. A and B are numbers or aliases.

  kshot compare champion challenger
"""


def add_parser(verbs: Any) -> None:
    """Add the verbs that show the registry to the command line."""
    models = verbs.add_parser("models", help="list the registered versions: aliases, data, accuracies, decision, age")
    models.add_argument("--json", action="store_true", help="print JSON, with intervals and times")
    models.set_defaults(run=run_models)

    compare = verbs.add_parser("compare", help="compare two versions on the same episodes", description=COMPARE)
    compare.add_argument("old", metavar="A", help="a version's number, champion or challenger")
    compare.add_argument("new", metavar="B", help="the version to compare it with")
    compare.set_defaults(run=run_compare)

    history = verbs.add_parser("history", help="list every decision and move of an alias, and verify them")
    history.add_argument("--json", action="store_true", help="print JSON with every field")
    history.set_defaults(run=run_history)


def run_models(root: Path, options: argparse.Namespace) -> int:
    """Print one line a version, and any repairs and inconsistencies."""
    from kshot.lifecycle.project import tables
    from kshot.lifecycle.registry import catch_up
    from kshot.lifecycle.registry import listing as models

    repairs = catch_up.catch_up(root)
    found = models.listing(root)
    if options.json:
        print(json.dumps([dataclasses.asdict(model) for model in found.models], default=str, indent=2))
        return 0
    for sentence in (*repairs, *found.problems):
        print(f"! {sentence}")
    if not found.models:
        print("no model is registered yet; `kshot retrain` makes and registers one")
        return 0
    now = datetime.now(UTC)
    protocols = list(dict.fromkeys(name for model in found.models for name in model.accuracy))
    print("\n".join(tables.columns([row(model, protocols, now) for model in found.models])))
    return 0


def row(model: "Model", protocols: list[str], now: datetime) -> dict[str, str]:
    """The table row of a version."""
    from kshot.lifecycle.gate.gate_rules import percent
    from kshot.lifecycle.registry.listing import age

    scores = {name: percent(model.accuracy[name][0]) if name in model.accuracy else "" for name in protocols}
    return {
        "version": model.version,
        "alias": " ".join(model.aliases),
        "data": model.data_version[:8],
        **scores,
        "age": age(model.registered_at, now),
        "decision": model.decision,
    }


def run_compare(root: Path, options: argparse.Namespace) -> int:
    """Print what changed from version A to version B."""
    from kshot.cli.versions.shadow_disagreement import disagreement_lines
    from kshot.lifecycle.gate import comparison

    found = comparison.compare(root, options.old, options.new)
    shadow = disagreement_lines(root, str(found.old), str(found.new))
    print("\n".join([render_comparison(found), *([""] if shadow else []), *(f"  {one}" for one in shadow)]))
    return 0


def render_comparison(found: "Comparison") -> str:
    """The text of a comparison."""
    from kshot.lifecycle.project.tables import columns

    old, new = f"version {found.old}", f"version {found.new}"
    lines = [f"{old} and {new} on the same {found.episodes:,} episodes a protocol ({found.on})", ""]
    lines += columns([line(change, old, new, "") for change in found.protocols])
    if found.groups:
        order = [change.protocol for change in found.protocols]
        groups = sorted(found.groups, key=lambda one: (order.index(one.protocol), one.name))
        lines += ["", *columns([line(change, old, new, "group") for change in groups])]
    return "\n".join([*lines, "", *class_lines(found, old, new)])


def class_lines(found: "Comparison", old: str, new: str) -> list[str]:
    """The classes that changed significantly, worse ones first, and how many figures rose and fell."""
    from kshot.lifecycle.gate.change import certainly_gained, certainly_lost, worst_first
    from kshot.lifecycle.project.tables import columns, counted

    classes, figures = worst_first(found.classes), counted(len(found.classes), "figure")
    worse = [one for one, lost in zip(classes, certainly_lost(classes, 0.0), strict=True) if lost]
    better = [one for one, gained in zip(classes, certainly_gained(classes), strict=True) if gained][::-1]
    rose, fell = (sum(sign * one.difference.mean > 0 for one in classes) for sign in (1, -1))
    of_all, lost, gained = (len({one.name for one in part}) for part in (classes, worse, better))
    lines = [
        f"  {lost} of {counted(of_all, 'class')} got worse for certain, {gained} better (Holm's correction);",
        f"  of {figures}, one a class and protocol, {rose} rose and {fell} fell",
    ]
    for part, how in ((worse, "worse"), (better, "better")):
        lines += [""] if part else []
        lines += columns([line(change, old, new, "class") for change in part[:CLASSES]])
        lines += [f"  and {len(part) - CLASSES} more that got {how}"] if len(part) > CLASSES else []
    return [*lines, "", f"  {CAVEAT}"]


def line(change: "Change", old: str, new: str, kind: str) -> dict[str, str]:
    """The table row of a change; `kind` is the header of the name column, '' for none."""
    from kshot.lifecycle.gate.gate_rules import percent, points
    from kshot.lifecycle.gate.gate_text import NO_INTERVAL

    mean, low, high = change.difference
    name = {kind: change.name or "(none)"} if kind else {}
    return {
        "protocol": change.protocol,
        **name,
        old: percent(change.old),
        new: percent(change.new),
        "difference": points(mean),
        "95 % interval": NO_INTERVAL if math.isnan(low) else f"[{points(low, '')}, {points(high, '')}]",
    }


def event_lines(event: "Event", signature: str = "") -> list[tuple[str, str]]:
    """The lines of an event with its number: what happened, by whom, what a clock that had been set back said, whose
    signature it has, the aliases afterwards, and the first reasons."""
    from kshot.lifecycle.history.events import CHALLENGER, CHAMPION, minute

    aliases = [f"{alias} {event.after[alias]}" for alias in (CHAMPION, CHALLENGER) if alias in event.after]
    reasons = [one for one in event.why.split(" | ") if one]
    more = [f"and {len(reasons) - REASONS} more reasons: --json"] if len(reasons) > REASONS + 1 else []
    return [
        (str(event.number), f"{minute(event.when)}  {event.what}, by {event.who}"),
        *([("", f"the clock said {minute(event.clock)}, before the last event: set back")] if event.clock else []),
        *([("", signature)] if signature else []),
        ("", ", ".join(aliases) or "no champion, no challenger"),
        *(("", one) for one in [*reasons[: REASONS if more else None], *more]),
    ]


def run_history(root: Path, options: argparse.Namespace) -> int:
    """Print every event, oldest first; exit code 1 if something is inconsistent."""
    from kshot.lifecycle.history import anchor, champions, decision_signature, event_chain, history
    from kshot.lifecycle.project import tables
    from kshot.lifecycle.registry import model_versions

    record = history.record(root)
    found = record.events
    registered = model_versions.versions(root) if champions.taken_outside(found) else ()
    signed = decision_signature.signatures(root, found)
    problems = [
        *filter(None, [record.trouble, champions.undecided(found, registered)]),
        *event_chain.verify(found, record.aliases),
        *anchor.problems(root, record.run_id, found),
        *(
            f"{event}: {signed[event.number].says}"
            for event in found
            if event.number in signed and signed[event.number].fails
        ),
    ]
    if options.json:
        rows = [dataclasses.asdict(event) for event in found]
        for row in rows:
            row["signature_is"] = signed[row["number"]].state if row["number"] in signed else ""
        print(json.dumps(rows, indent=2))
        return int(bool(problems))
    says = {number: signature.says for number, signature in signed.items()}
    lines = tables.facts([line for event in found for line in event_lines(event, says.get(event.number, ""))])
    print("\n".join(lines) if lines else "nothing was decided yet; `kshot retrain` begins")
    for problem in problems:
        print(f"! {problem}")
    if found and not problems:
        whole = "the one event is as it was" if len(found) == 1 else f"all {len(found)} events are as they were"
        print(f"\n  {whole} written, and the aliases stand where the last one left them")
    return int(bool(problems))
