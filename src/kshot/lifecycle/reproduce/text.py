"""Renders a reproduction as text for a person, and as JSON for programs."""

import dataclasses
import json

from kshot.lifecycle.gate.gate_rules import percent
from kshot.lifecycle.reproduce.reproduction import IDENTICAL, WITHIN, Reproduction

SHOWN = 8  # differences of the environment that are listed; the rest is counted


def render_reproduction(found: Reproduction) -> str:
    """Weights, accuracies, differences of the environment, and the verdict."""
    lines = [f"  {'weights':<12} {_weights(found)}", f"  {'accuracies':<12} {_accuracies(found)}"]
    if found.surroundings:
        shown = [str(one) for one in found.surroundings[:SHOWN]]
        more = len(found.surroundings) - SHOWN
        shown += [f"and {more} more, all with --json"] if more > 0 else []
        lines += [f"  {'another here' if place == 0 else '':<12} {line}" for place, line in enumerate(shown)]
    else:
        lines.append(f"  {'machine':<12} of the same kind: packages, device, processor and threads as they were")
    return "\n".join([*lines, "", verdict(found)])


def verdict(found: Reproduction) -> str:
    """The result in a sentence."""
    if found.verdict == IDENTICAL:
        return f"version {found.version} is reproduced: identical, bit for bit"
    if found.altered and not found.weights.unlike:
        return f"version {found.version} is not reproduced: the same weights came out, and {found.altered}"
    if found.verdict == WITHIN:
        return (
            f"version {found.version} is reproduced within {_points(found.tolerance)} of accuracy, not bit for bit; "
            "the machine or its packages are others"
        )
    if found.weights.as_trained:
        return (
            f"version {found.version} is not reproduced: the stages gave what they gave then, and the "
            "registered files are others; `kshot audit` says which was changed"
        )
    if found.surroundings:
        return (
            f"version {found.version} is not reproduced: accuracies differ by more than {_points(found.tolerance)}; "
            "--install takes the packages that it was made with"
        )
    first = next((one for one in found.stages if one.unlike), None)
    where = f"first in what stage {first.name} wrote ({', '.join(first.unlike)}), " if first else ""
    return f"version {found.version} is not reproduced: it differs, {where}and the machine is of the same kind"


def to_json(found: Reproduction) -> str:
    """Every field, and the verdict."""
    return json.dumps({**dataclasses.asdict(found), "verdict": found.verdict}, indent=2, ensure_ascii=False)


def _weights(found: Reproduction) -> str:
    one = found.weights
    if not one.unlike:
        return f"identical: {', '.join(one.files)}"
    if one.largest is None:
        return f"other tensors than are registered; other files: {', '.join(one.unlike)}"
    if one.unlike_tensors == 0:
        return f"all {one.tensors} tensors identical; other files: {', '.join(one.unlike)}"
    return f"{one.unlike_tensors} of {one.tensors} tensors differ, by up to {one.largest:.1e} of their largest number"


def _accuracies(found: Reproduction) -> str:
    moved, count = (sum(getattr(one, name) for one in found.accuracies) for name in ("moved", "episodes"))
    figures = ", ".join(
        f"{one.protocol} {percent(one.rebuilt)}"
        + (f" ({_points(one.difference, '+')})" if abs(one.difference) > 5e-7 else "")
        for one in found.accuracies
    )
    same = f"all {count:,} episodes predicted as then"
    if moved:
        same = f"{moved:,} of {count:,} episodes predicted differently"
    return f"{'identical' if not moved else 'not identical'}: {figures}; {same}"


def _points(share: float, sign: str = "") -> str:
    return f"{100 * share:{sign}.2f} pp"
