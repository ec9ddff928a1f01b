"""Tasks compared: are near ones alike, are predicted accuracies the measured ones, are strange tasks noticed.

    python benchmarks/tasks.py measure PROJECT          # print the tables of a project with a trained model
    python benchmarks/tasks.py draw PROJECT CHART.svg   # its map, and its alphabets' accuracies against the predicted

PROJECT is a finished retraining of data with groups, whose validation classes were not trained on. What lies outside
is made here: the project's own test images with dark and light exchanged, scikit-learn's digits and photographs.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images
from sklearn.metrics import roc_auc_score

from kshot.data.episodes import EpisodeSet, draw_episodes
from kshot.distances import euclidean
from kshot.evaluation.evaluate import predict_episodes
from kshot.lifecycle.data.packed import image_ids, read_classes, read_episodes, read_images, read_manifest
from kshot.lifecycle.stages.evaluation.predictions import test_protocols
from kshot.lifecycle.tasks.survey import survey
from kshot.lifecycle.tasks.task_model import TaskModel, limit, narrowed, read_task_model
from kshot.lifecycle.tasks.task_row import Trust
from kshot.lifecycle.tasks.text import correlation
from kshot.nets.embedding import embed
from kshot.params.schema import load_params
from kshot.params.sections.episodes import Protocol
from kshot.statistics import Interval, rank_correlation
from kshot.tasks.difficulty import difficulty_features
from kshot.tasks.embedding import Embedded, Task, embed_task, squared_distances
from kshot.tasks.space import outlyingness

EPISODES, REPEATS, STRANGE = 500, 8, 200
SHAPES = ((5, 1), (5, 5), (20, 1), (20, 5))


def episode_sets(root: Path) -> dict[str, EpisodeSet]:
    """The fixed test episodes, and others whose classes come from one group, harder and more various."""
    found = {f"{name}, fixed": read_episodes(root, "test", name).first(EPISODES) for name in test_protocols(root)}
    classes = read_classes(root)
    upright = classes[(classes["rotation"] == 0) & (classes["split"] == "test")]
    members = image_ids(read_manifest(root), upright)
    for n_way, k_shot in SHAPES:
        found[f"{n_way}w{k_shot}s, one group"] = draw_episodes(
            members,
            list(upright["group"]),
            upright.index.to_numpy(),
            Protocol(n_way, k_shot, True),
            n_query=min(15, min(map(len, members)) - k_shot),
            n_episodes=EPISODES,
            generator=np.random.default_rng(1),
        )
    return found


def hardness_table(model: TaskModel, sets: dict[str, EpisodeSet]) -> None:
    """Rank correlation of each predictor with the measured accuracy, and the most that any could reach."""
    print("| episodes | measured | predicted | predicted | expected alone | left out alone | nearest class | ceiling |")
    print("|---|---|---|---|---|---|---|---|")
    for name, episodes in sets.items():
        measured = model.measured(episodes)
        assert measured is not None
        tasks = [model.task(support) for support in episodes.support]
        found = [difficulty_features(task, model.space) for task in tasks]
        left = [view.left_out for view in found if view.left_out is not None]
        predicted = [one for one in model.predicted(found) if one is not None]
        cells = [
            correlation_of(predicted, measured),
            correlation_of([view.expected for view in found], measured),
            correlation_of(left, measured) if left else "",
            correlation_of([nearest_class(task) for task in tasks], measured),
            f"{ceiling(model, episodes):.2f}",
        ]
        means = f"{100 * measured.mean():.1f} | {100 * np.mean(predicted):.1f}"
        print(f"| {name} | {means} | {' | '.join(cells)} |", flush=True)


def correlation_of(predicted: list[float], measured: NDArray[np.float64]) -> str:
    found: Interval = rank_correlation(predicted, measured)
    return correlation(Trust("", 0, 0.0, 0.0, found))


def nearest_class(task: Task) -> float:
    """What a person would look at first: the mean distance of a class mean to the next."""
    apart = euclidean(task.means, task.means)
    return float(apart.fill_diagonal_(torch.inf).amin(1).mean())


def ceiling(model: TaskModel, episodes: EpisodeSet) -> float:
    """The correlation of measured accuracies with those that endless queries would give: the root of the reliability,
    from both halves of the queries by Spearman and Brown."""
    right = predict_episodes(model.points, episodes) == torch.arange(episodes.classes.shape[1])[None, :, None]
    halves = [right[:, :, start::2].double().mean((1, 2)).numpy() for start in (0, 1)]
    both = max(0.0, rank_correlation(*halves).mean)
    return float((2 * both / (1 + both)) ** 0.5)


def distance_table(model: TaskModel) -> None:
    """Two tasks of different classes, of one group of unseen classes or of two: squared distances and their order."""
    print("| tasks | one group | two groups | area under the curve |\n|---|---|---|---|")
    unseen = model.classes[(model.classes["rotation"] == 0) & (model.classes["split"] != "train")]
    groups = [rows.index.to_numpy() for name, rows in unseen.groupby("group") if name and len(rows) >= 20]
    generator = np.random.default_rng(0)
    for n_way, k_shot in ((5, 1), (5, 5), (10, 1), (10, 5)):
        left: list[Embedded] = []
        right: list[Embedded] = []
        kinds = []
        for _ in range(REPEATS):
            for kind, members in enumerate(groups):
                chosen = generator.permutation(members)[: 2 * n_way]
                for part, labels in ((left, chosen[:n_way]), (right, chosen[n_way:])):
                    shown = [generator.permutation(model.images[label])[:k_shot] for label in labels]
                    part.append(embed_task(model.task(np.stack(shown)), model.space))
                kinds.append(kind)
        found = squared_distances(left, right).numpy()
        same = np.equal.outer(kinds, kinds)
        area = roc_auc_score(~same.ravel(), found.ravel())
        one, two = (f"{found[part].mean():.3f} ± {found[part].std():.3f}" for part in (same, ~same))
        print(f"| {n_way}w{k_shot}s | {one} | {two} | {area:.3f} |", flush=True)


def outside_table(model: TaskModel, root: Path, sets: dict[str, EpisodeSet]) -> None:
    """The share of tasks that are warned of."""
    worlds = strange(model, root)
    print(f"| tasks | test, fixed | test, one group | {' | '.join(worlds)} |\n|---|---|---|{'---|' * len(worlds)}")
    generator = np.random.default_rng(0)
    for n_way, k_shot in ((5, 1), (5, 5)):
        most = limit(model, n_way, k_shot)
        assert most is not None
        cells = []
        for kind in ("fixed", "one group"):
            tasks = [model.task(support) for support in sets[f"{n_way}w{k_shot}s, {kind}"].support]
            cells.append(share_outside(model, tasks, most))
        for points in worlds.values():
            tasks = []
            for _ in range(STRANGE):
                chosen = points[generator.permutation(len(points))[:n_way]]
                shown = chosen[:, generator.permutation(points.shape[1])[:k_shot]].flatten(0, 1)
                tasks.append(Task(shown, torch.arange(n_way).repeat_interleave(k_shot)))
            cells.append(share_outside(model, tasks, most))
        print(f"| {n_way}w{k_shot}s | {' | '.join(cells)} |", flush=True)


def share_outside(model: TaskModel, tasks: list[Task], most: float) -> str:
    found = [outlyingness(task.means, task.counts, model.space) > most for task in tasks]
    return f"{100 * np.mean(found):.0f} %"


def strange(model: TaskModel, root: Path) -> dict[str, torch.Tensor]:
    """Embedded classes of other worlds, (classes, images, D) each."""
    generator = np.random.default_rng(0)
    images, size = read_images(root), model.method.embedding.settings.ingest.size
    test = [label for label in model.images if model.classes["split"][label] == "test"]
    own = np.stack([255 - images[model.images[label][:10] % len(images)] for label in test[:40]])[..., 0]
    digits = load_digits()
    numbers = [
        [resized(255 / 16 * image, size) for image in digits.images[digits.target == number][:20]]
        for number in range(10)
    ]
    photographs = [np.asarray(Image.fromarray(image).convert("L")) for image in load_sample_images().images]
    scenes = []
    for number in range(40):
        photograph = photographs[number % 2]
        y, x = (generator.integers(0, most - 80) for most in photograph.shape)
        shifts = generator.integers(0, 16, (20, 2))
        scenes.append([resized(photograph[y + a : y + a + 64, x + b : x + b + 64], size) for a, b in shifts])
    worlds = {"light and dark exchanged": own, "digits": np.array(numbers), "photographs": np.array(scenes)}
    found = {}
    for name, pixels in worlds.items():
        flat = np.ascontiguousarray(pixels.reshape(-1, size, size, 1).astype(np.uint8))
        points = narrowed(embed(model.method, flat, np.arange(len(flat))))
        found[name] = points.reshape(*pixels.shape[:2], -1)
    return found


def resized(pixels: NDArray[np.generic], size: int) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(pixels.astype(np.uint8)).resize((size, size)))


def measure(root: Path) -> None:
    """All three tables."""
    sets = episode_sets(root)
    further = [part for episodes in sets.values() for part in (episodes.support, episodes.query)]
    model = read_task_model(root, load_params(root / "params.yaml"), further)
    if model.doubt:
        sys.exit(f"no accuracy is predicted: {model.doubt}")
    distance_table(model)
    print()
    hardness_table(model, sets)
    print()
    outside_table(model, root, sets)


def draw(root: Path, path: Path) -> None:
    """The map of tasks, and predicted against measured accuracy of those that were not trained on."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = survey(root, load_params(root / "params.yaml")).rows
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 6), layout="constrained", width_ratios=(1.6, 1))
    for split, mark, colour in (("train", "o", "0.55"), ("val", "s", "C1"), ("test", "^", "C0")):
        part = [row for row in rows if row.split == split]
        left.scatter([r.x for r in part], [r.y for r in part], marker=mark, color=colour, label=split)
        for row in part:
            name = row.name.rpartition("/")[2].replace("_", " ")
            left.annotate(name, (row.x, row.y), (4, 3), textcoords="offset points", fontsize=6, color="0.3")
        seen = [row for row in part if row.measured is not None and row.predicted is not None]
        right.scatter(
            [100 * (r.predicted or 0) for r in seen], [100 * (r.measured or 0) for r in seen], marker=mark, c=colour
        )
    left.set_aspect("equal", "datalim")
    left.set(xticks=[], yticks=[], title="the map of tasks")
    left.legend(fontsize=8)
    low = min(min(*right.get_xlim()), min(*right.get_ylim()))
    right.plot([low, 100], [low, 100], color="0.7", zorder=0)
    right.set(xlabel="predicted from 5 images a class, %", ylabel="measured on the others, %", aspect="equal")
    right.set_title("all classes of a group at once")
    figure.savefig(path)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "measure":
        measure(Path(sys.argv[2]))
    elif len(sys.argv) == 4 and sys.argv[1] == "draw":
        draw(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        sys.exit(__doc__)
