"""Few-shot evaluation against easyfsl's `evaluate`: the same episodes, the same network, the same accuracies.

    python benchmarks/evaluation.py OMNIGLOT.zip [cpu|cuda]

10,000 episodes with 15 queries a class over the images of `images_evaluation`, embedding them included, with a Conv-4
whose weights are drawn once: any accuracy will do to compare with. easyfsl decodes its PNGs, here from memory, as its
own data sets do from disk, and answers the first episodes only, because thousands would take it many minutes.
"""

import statistics
import sys
import time
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from easyfsl.methods import PrototypicalNetworks
from easyfsl.samplers import TaskSampler
from easyfsl.utils import evaluate
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from kshot.data.episodes import EpisodeSet, draw_episodes
from kshot.data.images import decode, prepare
from kshot.evaluation.evaluate import accuracies, embed_once, predict_episodes
from kshot.nets.embedding import Embedding
from kshot.nets.embedding_settings import settings_of
from kshot.nets.memory import keep_freed_memory
from kshot.params.sections.episodes import Protocol
from kshot.params.sections.ingest import Ingest

EPISODES, ROUNDS = 10_000, 3
PEER_EPISODES = {"5w1s": 400, "20w5s": 80}
INGEST = Ingest(28, 1, invert=True, crop="none")
PROTOCOLS = {"5w1s": Protocol(5, 1, False), "20w5s": Protocol(20, 5, False)}


class Pngs(Dataset[tuple[Tensor, int]]):
    """What easyfsl loads: an image decoded at each access, and its class."""

    def __init__(self, contents: list[bytes], labels: NDArray[np.int64]) -> None:
        self.contents, self.labels = contents, labels

    def __len__(self) -> int:
        return len(self.contents)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        pixels = prepare(decode(self.contents[place], 1), INGEST)
        return torch.from_numpy(pixels).permute(2, 0, 1).float(), int(self.labels[place])


def evaluation_images(archive: Path) -> Pngs:
    """The images of `images_evaluation`, each labelled with its character."""
    with zipfile.ZipFile(archive) as file:
        names = sorted(n for n in file.namelist() if "images_evaluation/" in n and n.endswith(".png"))
        contents = [file.read(name) for name in names]
    folders = [name.rsplit("/", 1)[0] for name in names]
    return Pngs(contents, np.unique(folders, return_inverse=True)[1].astype(np.int64))


def packed(data: Pngs) -> NDArray[np.uint8]:
    """All images, (N, 28, 28, 1), as stage ingest packs them once: it is no part of an evaluation."""
    return np.stack([prepare(decode(content, 1), INGEST) for content in data.contents])


def untrained(device: str) -> Embedding:
    """A Conv-4 with the weights that the generator gives it."""
    settings = {"backbone": "conv4", "head_dim": None, "l2_normalize": False, "batch_norm": "eval"}
    embedding = Embedding(settings_of({**settings, "ingest": asdict(INGEST)}))
    return embedding.to(device=device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload, no-any-return]


def episodes_of(data: Pngs, protocol: Protocol, count: int) -> EpisodeSet:
    """The same `count` episodes of 15 queries a class whenever this is asked."""
    members = [np.flatnonzero(data.labels == label) for label in np.unique(data.labels)]
    return draw_episodes(
        members,
        [""] * len(members),
        np.arange(len(members)),
        protocol,
        n_query=15,
        n_episodes=count,
        generator=np.random.default_rng(0),
    )


def ours(embedding: Embedding, images: NDArray[np.uint8], episodes: EpisodeSet) -> NDArray[np.float64]:
    """Accuracy of every episode."""
    return accuracies(predict_episodes(embed_once(embedding, images, episodes.support, episodes.query), episodes))


def peers(embedding: Embedding, data: Pngs, episodes: EpisodeSet, count: int) -> float:
    """easyfsl's mean accuracy on the first `count` episodes."""
    sampler = object.__new__(
        TaskSampler
    )  # its constructor does not run under this torch, and would draw other episodes
    sampler.n_way, sampler.n_shot = episodes.support.shape[1:]
    sampler.n_query = episodes.query.shape[2]
    batches = np.concatenate([episodes.support, episodes.query], 2)[:count].reshape(count, -1).tolist()
    loader = DataLoader(data, batch_sampler=batches, collate_fn=sampler.episodic_collate_fn)
    return float(evaluate(PrototypicalNetworks(embedding), loader, str(embedding.mean.device), use_tqdm=False))


def main(archive: Path, device: str) -> None:
    """Measure both by turns and print the comparison."""
    keep_freed_memory()
    torch.manual_seed(0)
    data = evaluation_images(archive)
    images, embedding = packed(data), untrained(device)
    print(f"{len(images):,} images of {len(set(data.labels))} characters, {device}, {torch.get_num_threads()} threads")
    print("| protocol | ours, episodes/s | easyfsl, episodes/s | ratio | accuracy of the same episodes |")
    print("|---|---|---|---|---|")
    for name, protocol in PROTOCOLS.items():
        episodes = episodes_of(data, protocol, EPISODES)
        count = PEER_EPISODES[name]
        rates: dict[str, list[float]] = {"ours": [], "easyfsl": []}
        for _ in range(ROUNDS):
            started = time.perf_counter()
            mine = ours(embedding, images, episodes)
            rates["ours"].append(EPISODES / (time.perf_counter() - started))
            started = time.perf_counter()
            theirs = peers(embedding, data, episodes, count)
            rates["easyfsl"].append(count / (time.perf_counter() - started))
        fast, slow = (statistics.median(found) for found in rates.values())
        same = f"{100 * mine[:count].mean():.3f} and {100 * theirs:.3f} % over {count}"
        print(f"| {name} | {fast:,.0f} | {slow:.1f} | {fast / slow:.0f} | {same} |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "cpu")
