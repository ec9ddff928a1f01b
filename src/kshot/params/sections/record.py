"""The code that a run stores."""

import dataclasses

from kshot.params.reader import need


@dataclasses.dataclass(frozen=True)
class Record:
    """`code`: patterns of the uncommitted files that a run stores; they match the end of a path or all of it."""

    code: tuple[str, ...]

    def __post_init__(self) -> None:
        need(bool(self.code), "record.code is empty; needs at least '*.py', or no model could be built again")
