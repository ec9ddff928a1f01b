"""One gallery of `kshot serve` under two models, as counts from which every figure about it follows.

The service's ring measures it (`kshot.serve.engine.gallery_change`) and hands it to the gate, which records it: the
gallery itself goes on changing.
"""

from dataclasses import dataclass

from kshot.lifecycle.gate.change import Change
from kshot.statistics import Interval, ratio_difference


@dataclass(frozen=True)
class GalleryEvidence:
    """Leave-one-out counts of a gallery: each example classified without itself, under the old and the new version.

    classes   of the gallery
    counts    (examples, right before, right after, classes with these three), of the classes with two examples or more
    revision  of the gallery
    why       why there are no counts; '' if there are
    """

    gallery: str
    classes: int
    counts: tuple[tuple[int, int, int, int], ...] = ()
    revision: int = 0
    why: str = ""

    @property
    def tested(self) -> int:
        """The number of examples that were classified."""
        return sum(examples * classes for examples, _, _, classes in self.counts)

    def change(self) -> Change | None:
        """Both accuracies, and the difference with its 95 % interval over classes; None without counts."""
        if not self.counts:
            return None
        rows = [(examples, old, new) for examples, old, new, classes in self.counts for _ in range(classes)]
        total, before, after = zip(*rows, strict=True)
        difference: Interval = ratio_difference(after, before, total)
        return Change("", self.gallery, sum(before) / sum(total), sum(after) / sum(total), difference, len(rows))
