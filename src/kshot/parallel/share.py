"""The rank of this process, the number of processes, and its rows of a batch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class World:
    """This process's `rank`, in [0, size), of `size` processes; the first one writes all files."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and messages."""
        return self.rank == 0


ALONE = World()


@dataclass(frozen=True)
class Share:
    """The rows of a batch of `total` rows, one block a process in the order of their ranks.

    If the rows do not divide, the first `total % size` processes have one more than the others.
    """

    world: World
    total: int

    @property
    def counts(self) -> list[int]:
        """The number of rows of each process."""
        each, more = divmod(self.total, self.world.size)
        return [each + (rank < more) for rank in range(self.world.size)]

    @property
    def rows(self) -> slice:
        """The rows of this process."""
        start = sum(self.counts[: self.world.rank])
        return slice(start, start + self.counts[self.world.rank])
