"""PT-MAP against easyfsl's: the same points, as many steps, and how often both answer alike.

    python benchmarks/transductive.py OMNIGLOT.zip [cpu|cuda]

Episodes with 15 queries a class over the images of `images_evaluation`, embedded before the clock starts by a Conv-4
whose weights are drawn once; easyfsl answers the first of them, one after another, as it does. Both get the points
after the power transform, whose results easyfsl neither scales nor centres: the moves and the transport are compared.
"""

import statistics
import sys
import time
from pathlib import Path

import torch
from easyfsl.methods import PTMAP
from evaluation import episodes_of, evaluation_images, packed, untrained
from torch import Tensor, nn

from kshot.classifiers.pt_map import STEPS, power_transform, pt_map_scores
from kshot.evaluation.evaluate import embed_once
from kshot.nets.memory import keep_freed_memory
from kshot.params.sections.episodes import Protocol

EPISODES, PEER_EPISODES, ROUNDS = 64, 4, 3
PROTOCOLS = {"5w1s": Protocol(5, 1, False), "20w1s": Protocol(20, 1, False)}


class Peer(PTMAP):  # type: ignore[misc]
    """easyfsl's head on points as they are."""

    def compute_features(self, images: Tensor) -> Tensor:
        """`images`, which are such points."""
        return images


def peers(support: Tensor, labels: Tensor, query: Tensor) -> Tensor:
    """easyfsl's answers, episode by episode: (E, Q)."""
    found = []
    for known, asked in zip(support, query, strict=True):
        head = Peer(nn.Identity(), fine_tuning_steps=STEPS)
        head.process_support_set(known, labels)
        found.append(head(asked).argmax(-1))
    return torch.stack(found)


def main(archive: Path, device: str) -> None:
    """Measure both by turns and print the comparison."""
    keep_freed_memory()
    torch.manual_seed(0)
    data = evaluation_images(archive)
    images, embedding = packed(data), untrained("cpu")
    print(f"{device}, {torch.get_num_threads()} threads")
    print("| protocol | ours, episodes/s | easyfsl, episodes/s | ratio | queries predicted alike |")
    print("|---|---|---|---|---|")
    for name, protocol in PROTOCOLS.items():
        episodes = episodes_of(data, protocol, EPISODES)
        points = embed_once(embedding, images, episodes.support, episodes.query)
        support, query = (points.values[points.rows(ids)].flatten(1, 2).to(device) for ids in episodes[:2])
        labels = torch.arange(protocol.n_way, device=device)
        rates: dict[str, list[float]] = {"ours": [], "easyfsl": []}
        for _ in range(ROUNDS):
            started = time.perf_counter()
            mine = pt_map_scores(support, labels, query, protocol.n_way).argmax(-1).cpu()
            rates["ours"].append(EPISODES / (time.perf_counter() - started))
            started = time.perf_counter()
            theirs = peers(
                power_transform(support[:PEER_EPISODES]), labels, power_transform(query[:PEER_EPISODES])
            ).cpu()
            rates["easyfsl"].append(PEER_EPISODES / (time.perf_counter() - started))
        fast, slow = (statistics.median(found) for found in rates.values())
        alike = 100 * float((mine[:PEER_EPISODES] == theirs).double().mean())
        print(f"| {name} | {fast:,.1f} | {slow:.2f} | {fast / slow:.0f} | {alike:.2f} % |", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "cpu")
