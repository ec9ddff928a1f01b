"""Losses and minings side by side on Omniglot: accuracy against training time, and the best of them at length.

    python benchmarks/omniglot_losses.py compare PROJECT OUT [ROW ...]   # train, then measure on validation classes
    python benchmarks/omniglot_losses.py final PROJECT OUT [ROW ...]     # train on both, three seeds; test classes
    python benchmarks/omniglot_losses.py speed PROJECT OUT [ROW ...]     # milliseconds a step, on a machine left alone
    python benchmarks/omniglot_losses.py show OUT                        # print the tables, draw the chart

PROJECT is a project with Omniglot in it, as benchmarks/omniglot/README.md makes it, after `dvc repro episodes`. Each
row leaves one JSON file in OUT and is not measured again while that file is there. The number of steps is fixed, so
that the accuracies do not depend on what else the machine does; the times come from `speed`.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

from kshot.estimator.train_settings import places
from kshot.evaluation.evaluate import accuracies, embed_once, predict_episodes
from kshot.lifecycle.data.packed import (
    image_ids,
    label_names,
    of_splits,
    read_classes,
    read_episodes,
    read_images,
    read_manifest,
)
from kshot.methods.table import build_method, describe
from kshot.nets.embedding import Embedding
from kshot.nets.memory import keep_freed_memory
from kshot.nets.new_embedding import new_embedding
from kshot.params import renamed
from kshot.params.reader import read_mapping
from kshot.params.schema import Params, params_from
from kshot.statistics import mean_interval
from kshot.training.loop import meta_train
from kshot.training.random_state import make_deterministic
from kshot.training.records import Validation

STEPS, FINAL_STEPS, SPEED_STEPS, SEEDS = 2500, 5000, 60, (0, 1, 2)
UNIT = {"l2_normalize": True, "distance": "euclidean"}
ROWS: dict[str, dict[str, Any]] = {
    "contrastive, random pairs": {"loss": "contrastive", "mining": "random_pairs", "margin": 10.0},
    "contrastive, all pairs": {"loss": "contrastive", "mining": "all_pairs", "margin": 5.0},
    "contrastive, hard pairs": {"loss": "contrastive", "mining": "hard_pairs", "margin": 10.0},
    "triplet, random": {"loss": "triplet", "mining": "random_triplets", "margin": 20.0},
    "triplet, batch-all": {"loss": "triplet", "mining": "batch_all_nonzero", "margin": 20.0},
    "triplet, semi-hard": {"loss": "triplet", "mining": "semi_hard", "margin": 20.0},
    "triplet, nearest semi-hard": {"loss": "triplet", "mining": "semi_hard_nearest", "margin": 20.0},
    "triplet, batch-hard": {"loss": "triplet", "mining": "batch_hard", "margin": 1.0, "distance": "euclidean"},
    "triplet, distance-weighted": {"loss": "triplet", "mining": "distance_weighted", "margin": 0.2, **UNIT},
    "lifted structure": {"loss": "lifted_structure", "margin": 5.0},
    "multi-similarity": {"loss": "multi_similarity"},
    "supervised contrastive": {"loss": "supervised_contrastive", "temperature": 0.1},
}
# The best of each kind at length; the changes were chosen on the validation classes, in 600 steps each.
BEST: dict[str, dict[str, Any]] = {
    "contrastive, hard pairs": {"classes_per_batch": 100, "images_per_class": 4, "learning_rate": 0.002},
    "triplet, nearest semi-hard": {},
}


def chosen(root: Path, row: str, **changes: Any) -> Params:
    """The project's settings with those of `row`; `changes` go on top."""
    content = read_mapping(root / "params.yaml")
    none: dict[str, Any] = dict.fromkeys(("mining", "margin", "temperature", "distance"))
    none |= {"method": "metric", "loss_arguments": {}}
    usual = {"learning_rate": 0.001, "head_dim": None, "l2_normalize": False, "patience": 0, "validate_every": 250}
    where = places(content)
    for word, value in {**none, **usual, **ROWS[row], **changes}.items():
        *sections, key = where[word]
        renamed.at(content, ".".join(sections))[key] = value
    return params_from(content)


def trained(root: Path, params: Params) -> tuple[Embedding, list[Validation], float]:
    """Train as stage train does; the embedding, what was validated on the way, and the seconds."""
    make_deterministic(params.train.seed)
    classes = of_splits(read_classes(root), params.train.splits)
    embedding = new_embedding(params, root)
    method = build_method(describe(params.train.method, params.train.batch.class_count), embedding)
    method = method.to(memory_format=torch.channels_last)
    validation = None if "val" in params.train.splits else read_episodes(root, "val", "20w1s")
    records = meta_train(
        method,
        read_images(root),
        image_ids(read_manifest(root), classes),
        label_names(classes),
        params.train,
        validation=validation,
    )
    found = list(records)
    return embedding, [record for record in found if isinstance(record, Validation)], found[-1].seconds  # type: ignore[union-attr]


def measured(root: Path, embedding: Embedding, split: str) -> dict[str, list[float]]:
    """Accuracy and its interval on every protocol's fixed episodes over the classes of `split`."""
    protocols = {name: read_episodes(root, split, name) for name in ("5w1s", "5w5s", "20w1s", "20w5s")}
    ids = [part for episodes in protocols.values() for part in (episodes.support, episodes.query)]
    points = embed_once(embedding, read_images(root), *ids)
    return {name: list(mean_interval(accuracies(predict_episodes(points, e)))) for name, e in protocols.items()}


def compare(root: Path, out: Path, row: str) -> None:
    """One row trained on the training classes alone."""
    path = out / f"compare-{_file_name(row)}.json"
    if path.exists():
        return
    embedding, validations, seconds = trained(root, chosen(root, row, splits=("train",), steps=STEPS))
    curve = [[record.step, record.val_accuracy] for record in validations]
    _write(path, {"row": row, "curve": curve, "seconds": seconds, "accuracy": measured(root, embedding, "val")})


def final(root: Path, out: Path, row: str) -> None:
    """One row trained on training and validation classes, once a seed."""
    for seed in SEEDS:
        path = out / f"final-{_file_name(row)}-{seed}.json"
        if not path.exists():
            params = chosen(root, row, splits=("train", "val"), steps=FINAL_STEPS, seed=seed, **BEST[row])
            embedding, _, seconds = trained(root, params)
            found = {"row": row, "seed": seed, "seconds": seconds, "accuracy": measured(root, embedding, "test")}
            _write(path, found)


def speed(root: Path, out: Path, row: str) -> None:
    """Milliseconds of one step."""
    path = out / f"speed-{_file_name(row)}.json"
    if not path.exists():
        _, _, seconds = trained(root, chosen(root, row, splits=("train", "val"), steps=SPEED_STEPS))
        _write(path, {"row": row, "ms": 1000 * seconds / SPEED_STEPS})


def show(out: Path) -> None:
    """Print both tables and draw accuracy against time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    rows = [json.loads(path.read_text()) for path in sorted(out.glob("compare-*.json"))]
    ms = {found["row"]: found["ms"] for path in out.glob("speed-*.json") for found in [json.loads(path.read_text())]}
    figure, axes = plt.subplots(figsize=(9, 5.5), layout="constrained")
    print("| loss, mining | 5w1s | 5w5s | 20w1s | 20w5s | ms a step | minutes |\n|---|---|---|---|---|---|---|")
    for place, found in enumerate(sorted(rows, key=lambda found: -found["accuracy"]["20w1s"][0])):
        cells = [f"{100 * mean:.2f}" for mean, _, _ in found["accuracy"].values()]
        a_step = ms.get(found["row"], float("nan"))
        print(f"| {found['row']} | {' | '.join(cells)} | {a_step:.0f} | {a_step * STEPS / 60000:.1f} |")
        minutes = [step * a_step / 60000 for step, _ in found["curve"]]
        wrong = [100 * (1 - value) for _, value in found["curve"]]
        style = {"color": f"C{place % 10}", "linestyle": "-" if place < 6 else "--", "marker": "."}
        axes.plot(minutes, wrong, label=found["row"], **style)
    # Errors on a logarithmic scale: the best rows would otherwise lie on each other.
    axes.set_yscale("log")
    axes.set_yticks([4, 5, 7, 10, 15, 20, 40], labels=["4", "5", "7", "10", "15", "20", "40"])
    axes.minorticks_off()
    axes.set(xlabel="minutes of training, 2 cores", ylabel="20-way 1-shot errors on validation classes, %, log scale")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(out / "losses.svg")
    print("\n| loss, mining | seed | 5w1s | 5w5s | 20w1s | 20w5s |\n|---|---|---|---|---|---|")
    for path in sorted(out.glob("final-*.json")):
        found = json.loads(path.read_text())
        cells = [
            f"{100 * mean:.2f} [{100 * low:.2f}, {100 * high:.2f}]" for mean, low, high in found["accuracy"].values()
        ]
        print(f"| {found['row']} | {found['seed']} | {' | '.join(cells)} |")


def _file_name(row: str) -> str:
    return row.replace(",", "").replace(" ", "-")


def _write(path: Path, found: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found) + "\n")
    print(f"{time.strftime('%H:%M:%S')} {path.name} {json.dumps(found)[:400]}", flush=True)


def main(arguments: list[str]) -> None:
    """`compare`, `final` and `speed` a project, or `show` what they left."""
    modes = {"compare": compare, "final": final, "speed": speed}
    if len(arguments) == 2 and arguments[0] == "show":
        show(Path(arguments[1]))
        return
    if len(arguments) < 3 or arguments[0] not in modes or set(arguments[3:]) - set(ROWS):
        sys.exit(f"{__doc__}\nrows: {'; '.join(ROWS)}")
    keep_freed_memory()
    rows = arguments[3:] or list(BEST if arguments[0] == "final" else ROWS)
    for row in rows:
        modes[arguments[0]](Path(arguments[1]), Path(arguments[2]), row)


if __name__ == "__main__":
    main(sys.argv[1:])
