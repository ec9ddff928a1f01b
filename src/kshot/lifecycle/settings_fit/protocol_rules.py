"""The protocols and the queries a class that validation and test classes can fill, as pure functions.

`kshot fit-settings` shows them; the stages apply them wherever params.yaml says `auto`, to the classes of that day.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kshot.data.class_supply import ClassSupply
from kshot.data.episodes import innermost
from kshot.errors import DataError
from kshot.params.sections.episodes import Protocol
from kshot.params.sections.train import FEWEST_IMAGES

FEWEST_CLASSES = 2  # of an episode
WAYS, SHOTS, MOST_QUERIES = (5, 10, 20), (1, 5), 15
SMALL = 0.1  # share of the classes that may have fewer images than the settings need
GROUP = "_group"  # end of the name of the protocol within groups
ABOVE_CHANCE = 0.2  # share of the way from chance to 1 that a first champion has to reach


class FittedEpisodes(NamedTuple):
    """The protocols and the queries a class; `usual`: images that nine in ten classes reach; reasons for a person."""

    n_query: int
    protocols: dict[str, Protocol]
    queries_why: str
    protocols_why: str

    @property
    def first(self) -> str:
        """The protocol that the gate asks: one shot, of the fewest classes."""
        return min(self._single, key=lambda name: self.protocols[name].n_way)

    @property
    def widest(self) -> str:
        """The protocol that validation asks: one shot, of the most classes."""
        return max(self._single, key=lambda name: self.protocols[name].n_way)

    @property
    def _single(self) -> list[str]:
        fewest = min(one.k_shot for one in self.protocols.values())
        found = [name for name, one in self.protocols.items() if one.k_shot == fewest]
        return [name for name in found if not self.protocols[name].within_group] or found


def by_split(classes: Sequence[ClassSupply], place: Mapping[str, str]) -> dict[str, list[ClassSupply]]:
    """The classes with at least two images, by split."""
    usable = [one for one in classes if one.images >= FEWEST_IMAGES]
    return {name: [one for one in usable if place[one.name] == name] for name in ("train", "val", "test")}


def fitted_episodes(
    splits: Sequence[Sequence[ClassSupply]], *, n_query: int | None = None, most_ways: int | None = None
) -> FittedEpisodes:
    """The episodes that each of `splits`, the classes of validation and of test, can fill.

    n_query: already chosen, None to choose it; most_ways: of a method with a fixed number of labels. Raises DataError
    if one of them has fewer than two classes.
    """
    smaller = min(len(part) for part in splits)
    if smaller < FEWEST_CLASSES:
        raise DataError(
            "fewer than two classes of two images are in split val or test; give more classes that split, or none any"
        )
    counts = [[one.images for one in part] for part in splits]
    usual = tenth([images for part in counts for images in part])
    most = most_ways or max(WAYS)
    if n_query is None:
        n_query = min(MOST_QUERIES, usual - max(SHOTS) if usual > max(SHOTS) else usual - 1)
        while n_query > 1 and ways(counts, 1, n_query) < min(*WAYS, smaller, most):
            n_query -= 1
    protocols = _across_groups(counts, n_query, most)
    if not any(one.k_shot == 1 for one in protocols.values()):
        raise DataError(
            f"validation or test has fewer than two classes of {1 + n_query} images (one shot and {n_query} queries): "
            "set episodes.n_query: auto, or add images"
        )
    ordered = sorted(protocols.items(), key=lambda pair: (pair[1].n_way, pair[1].k_shot))
    within, why = _within_group(splits, n_query, most)
    class_count = f"validation and test have {smaller} classes or more each"
    return FittedEpisodes(
        n_query,
        dict([*ordered, *within.items()]),
        f"nine in ten evaluation classes have {usual} images or more",
        f"{class_count}; {why}" if why else class_count,
    )


def _across_groups(counts: Sequence[Sequence[int]], n_query: int, most: int) -> dict[str, Protocol]:
    """A protocol for each number of shots and of classes, up to `most`, that every split can fill."""
    protocols = {}
    for shots in SHOTS:
        widest = min(most, ways(counts, shots, n_query))
        for n_way in [one for one in WAYS if one <= widest] or [widest]:
            if n_way >= FEWEST_CLASSES:
                protocols[f"{n_way}w{shots}s"] = Protocol(n_way, shots, within_group=False)
    return protocols


def fitted_queries(counts: Sequence[int], protocols: Mapping[str, Protocol]) -> int:
    """The queries a class for protocols that a person chose, with these numbers of images of the classes."""
    return max(1, min(MOST_QUERIES, tenth(counts) - max(one.k_shot for one in protocols.values())))


def floor_of(n_way: int) -> float:
    """The accuracy that a first champion needs among `n_way` classes."""
    return round(1 / n_way + ABOVE_CHANCE * (1 - 1 / n_way), 2)


def ways(counts: Sequence[Sequence[int]], shots: int, n_query: int) -> int:
    """How many classes every one of these splits has with enough images for that many shots and queries."""
    return min(sum(images >= shots + n_query for images in part) for part in counts)


def tenth(counts: Sequence[int]) -> int:
    """The largest number of images that nine in ten of the classes reach."""
    return sorted(counts)[int(SMALL * len(counts))] if counts else FEWEST_IMAGES


def _within_group(splits: Sequence[Sequence[ClassSupply]], n_query: int, most: int) -> tuple[dict[str, Protocol], str]:
    """A protocol of classes of one group (kinds of apple), if both splits have such a group; otherwise the reason."""
    if len({one.group for part in splits for one in part}) < 2:  # none, or one around all classes, which adds nothing
        return {}, ""
    widest = []
    for part in splits:
        inner = innermost([one.group for one in part])
        large = Counter(one.group for one in part if one.group in inner and one.images > n_query)
        widest.append(max(large.values(), default=0))
    n_way = min(*widest, min(WAYS), most)
    if n_way < FEWEST_CLASSES:
        return {}, "none within a group, because validation or test has no two classes of one innermost group"
    return {f"{n_way}w1s{GROUP}": Protocol(n_way, 1, within_group=True)}, f"{n_way} of one group, the hard case"
