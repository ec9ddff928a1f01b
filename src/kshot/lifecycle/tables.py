"""Tables as a person reads them in a terminal."""

from collections.abc import Sequence


def columns(table: Sequence[dict[str, str]]) -> list[str]:
    """Return `table` as lines of aligned columns, the keys above."""
    if not table:
        return []
    wide = {key: max(len(key), *(len(row[key]) for row in table)) for key in table[0]}
    rows = [{key: key for key in wide}, *table]
    return ["  " + "  ".join(row[key].ljust(wide[key]) for key in wide).rstrip() for row in rows]


def counted(number: int, thing: str) -> str:
    """Number and thing, "1 run", "1,004 runs"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
