"""Fixed few-shot episodes, drawn once from a seed and stored as indices."""

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from kshot.data.drawers import Ids, draw_by_drawer
from kshot.errors import DataError
from kshot.params.sections.episodes import Protocol

KEYS = 2**24  # random keys in memory at once, 128 MiB


class EpisodeSet(NamedTuple):
    """Fixed episodes of one protocol, as ids of images and their rotations."""

    support: Ids  # (E, n_way, k_shot)
    query: Ids  # (E, n_way, n_query)
    classes: Ids  # (E, n_way), labels

    def first(self, count: int) -> "EpisodeSet":
        """The first `count` episodes, or all if there are fewer."""
        return EpisodeSet(self.support[:count], self.query[:count], self.classes[:count])


def draw_episodes(
    members: Sequence[Ids],
    groups: Sequence[str],
    labels: Ids,
    protocol: Protocol,
    *,
    n_query: int,
    n_episodes: int,
    generator: np.random.Generator,
    drawers: Sequence[Ids] = (),
) -> EpisodeSet:
    """Draw `n_episodes` of `protocol`.

    members, groups, labels: the image ids (no image twice), the group and the label of each class. A class with fewer
    than k_shot + n_query images is in no episode. Classes of one episode are drawn without repetition; with
    within_group they come from one group that has n_way of them, of the `innermost` groups if one of these has. Images
    of one class are drawn without repetition.
    drawers: for by_drawer, the drawer of each image of `members`, as in `kshot.data.drawers`.
    Raises DataError if there are too few classes or images.
    """
    n_way, per_class = protocol.n_way, protocol.k_shot + n_query
    named = _pools(groups) if protocol.within_group else {"": np.arange(len(members))}
    if not protocol.by_drawer:
        large = np.array([len(ids) >= per_class for ids in members], dtype=bool)
        named = {name: pool[large[pool]] for name, pool in named.items()}
    most = max(map(len, named.values()), default=0)
    named = {name: pool for name, pool in named.items() if len(pool) >= n_way}
    inner = innermost(groups)
    pools = [pool for name, pool in named.items() if name in inner] or list(named.values())
    if not pools:
        kind = f"no group has more than {most}" if protocol.within_group else f"there are {most}"
        images = "" if protocol.by_drawer else f" of {per_class} different images (k_shot + n_query)"
        raise DataError(
            f"an episode needs {n_way} classes{images}, but {kind}: lower n_way, k_shot or n_query in params.yaml, "
            "or add classes and images to this split"
        )
    if protocol.by_drawer:
        support, query, chosen = draw_by_drawer(
            members,
            drawers,
            pools,
            n_way=n_way,
            k_shot=protocol.k_shot,
            n_query=n_query,
            n_episodes=n_episodes,
            generator=generator,
        )
        return EpisodeSet(support, query, labels[chosen].astype(np.int32))
    # Groups are drawn in proportion to their number of classes, so that every class is used about equally often.
    weight = np.array([len(pool) for pool in pools], dtype=np.float64)
    chosen = np.stack(
        [
            generator.choice(pools[pool], n_way, replace=False)
            for pool in generator.choice(len(pools), n_episodes, p=weight / weight.sum())
        ]
    )
    ids = np.concatenate(
        [_draw_images(members, rows, per_class, generator) for rows in np.split(chosen, _cuts(chosen, members))]
    )
    return EpisodeSet(ids[:, :, : protocol.k_shot], ids[:, :, protocol.k_shot :], labels[chosen].astype(np.int32))


def _draw_images(members: Sequence[Ids], chosen: Ids, per_class: int, generator: np.random.Generator) -> Ids:
    """Draw `per_class` images of each class of `chosen` (E, n_way), none twice: (E, n_way, per_class) int32."""
    widest = max(len(members[c]) for c in np.unique(chosen))
    padded = np.full((*chosen.shape, widest), -1, dtype=np.int32)
    for place in np.ndindex(chosen.shape):
        ids = members[int(chosen[place])]
        padded[place][: len(ids)] = ids
    keys = np.where(padded >= 0, generator.random(padded.shape), 2.0)
    picked: Ids = np.take_along_axis(padded, np.argsort(keys, axis=-1)[:, :, :per_class], axis=-1)
    return picked


def _cuts(chosen: Ids, members: Sequence[Ids]) -> list[int]:
    """Where to split the episodes, so that random keys for only a part of them are in memory at once."""
    widest = max(len(ids) for ids in members)
    episodes = max(1, min(100, KEYS // (chosen.shape[1] * widest)))
    return list(range(episodes, len(chosen), episodes))


def innermost(groups: Iterable[str]) -> set[str]:
    """The groups that contain no other group: Fruit/Apple, and not Fruit, which holds avocados as well."""
    names = {name for name in groups if name}
    return names - {parent.as_posix() for name in names for parent in PurePosixPath(name).parents}


def _pools(groups: Sequence[str]) -> dict[str, Ids]:
    """The positions of the classes of each group."""
    names = np.asarray(groups, dtype=object)
    return {name: np.flatnonzero(names == name) for name in sorted(set(groups)) if name}
