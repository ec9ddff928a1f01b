"""Support and queries of a few classes."""

from pathlib import Path
from typing import NamedTuple


class Labelled(NamedTuple):
    support: list[Path]
    labels: list[str]
    queries: list[Path]
    truth: list[str]


def labelled(classes: dict[str, list[Path]], shots: int = 2) -> Labelled:
    """The first `shots` images of each class as support, the others as queries."""
    support = [(path, name) for name, paths in classes.items() for path in paths[:shots]]
    queries = [(path, name) for name, paths in classes.items() for path in paths[shots:]]
    return Labelled(
        [path for path, _ in support],
        [name for _, name in support],
        [path for path, _ in queries],
        [name for _, name in queries],
    )
