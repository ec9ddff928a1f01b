"""Protocols by their names alone: `--set episodes.protocols=5w1s,5w5s` is short for a mapping of three keys each."""

import re
from typing import Any

from kshot.errors import ParamsError

KEY = "episodes.protocols"
NAME = re.compile(r"(\d+)w(\d+)s(_group)?")


def named_protocols(key: str, value: Any) -> Any:
    """The mapping that protocol names stand for; any other value or key as it is. Raises ParamsError for no name.

    >>> named_protocols("episodes.protocols", ["3w1s_group"])
    {'3w1s_group': {'n_way': 3, 'k_shot': 1, 'within_group': True}}
    """
    if key != KEY or not isinstance(value, str | list) or value in ("", "auto"):
        return value
    names = [str(one).strip() for one in (value.split(",") if isinstance(value, str) else value)]
    found = {name: NAME.fullmatch(name) for name in names}
    wrong = [name for name, match in found.items() if match is None]
    if wrong:
        raise ParamsError(
            f"{wrong[0]!r} is no protocol; needs names such as {KEY}=5w1s,5w5s or {KEY}=3w1s_group, or auto"
        )
    return {
        name: {"n_way": int(match[1]), "k_shot": int(match[2]), "within_group": bool(match[3])}
        for name, match in found.items()
        if match
    }
