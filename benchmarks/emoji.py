"""Few-shot on colour images: emoji drawn by several makers, and four ways to adapt ImageNet's weights to them.

    python benchmarks/emoji.py images FOLDER                # download from npm's registry; needs npm and resvg-py
    python benchmarks/emoji.py compare PROJECT WEIGHTS OUT  # frozen, head, LoRA, full: one retraining each
    python benchmarks/emoji.py compress PROJECT OUT.svg     # accuracy against numbers and bytes of a stored class

A class is an emoji, its images are the makers' drawings of it, its group what the Unicode tables sort it under. PROJECT
is a project with them: docs/backbones.md has the commands. Nothing of the images is part of kshot; each maker's own
licence holds for them.
"""

import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZE = 64  # pixels
# Package of npm's registry, where its images are, and the maker's name.
MAKERS = (
    ("emoji-datasource-twitter@16.0.0", r"package/img/twitter/64/(.+)\.png", "twitter"),
    ("emoji-datasource-google@16.0.0", r"package/img/google/64/(.+)\.png", "google"),
    ("@lobehub/fluent-emoji-3d@1.1.0", r"package/assets/(.+)\.webp", "fluent-3d"),
    ("@lobehub/fluent-emoji-flat@1.1.0", r"package/assets/(.+)\.svg", "fluent-flat"),
    ("@lobehub/fluent-emoji-modern@1.0.0", r"package/assets/(.+)\.svg", "fluent-modern"),
    ("openmoji@16.0.0", r"package/color/svg/(.+)\.svg", "openmoji"),
    ("openmoji@16.0.0", r"package/black/svg/(.+)\.svg", "openmoji-lines"),
)
NAMES = "package/data/openmoji.json"  # of openmoji: code points, group and words
LEFT_OUT = re.compile(r"1f3f[b-f]|1f1e[6-9a-f]|1f1f[0-9a-f]|e00|^e[0-9a-f]{3}|1f3f4")  # skin tones, flags, no emoji
WAYS: dict[str, list[str]] = {
    "frozen": ["train.network.adaptation=frozen"],
    "frozen, whitened to 128": ["train.network.adaptation=frozen", "train.projection.reduce={dim: 128, whiten: true}"],
    "projection": ["train.network.adaptation=projection", "train.projection.dim=256", "train.steps=600"],
    "LoRA": ["train.network.adaptation=lora", "train.steps=100", "train.optimizer.learning_rate=0.0005"],
    "full": [
        "train.network.adaptation=full",
        "train.steps=100",
        "train.optimizer.learning_rate=0.0002",
        "train.optimizer.layer_decay=0.8",
    ],
}


def images(folder: Path) -> None:
    """Write FOLDER/group/words/maker.png for every emoji that all makers drew."""
    found: dict[str, dict[str, bytes]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for package, pattern, maker in MAKERS:
            for name, content in packed(package, pattern, Path(scratch)):
                found.setdefault(name.lower().replace("-fe0f", ""), {})[maker] = content
        [(_, table)] = packed(MAKERS[-1][0], f"({NAMES})", Path(scratch))
    kept, seen = 0, set[bytes]()
    for row in json.loads(table):
        code = row["hexcode"].lower().replace("-fe0f", "")
        drawn = found.get(code, {})
        if len(drawn) < len(MAKERS) or LEFT_OUT.search(code):
            continue
        drawings = {maker: as_png(content) for maker, content in drawn.items()}
        new = set(drawings.values()) - seen
        if len(new) < len(MAKERS):
            continue  # a maker drew two emoji alike, or two makers share a drawing
        seen |= new
        place = folder / row["group"] / f"{re.sub(r'[^a-z0-9]+', ' ', row['annotation'].lower()).strip()} {code}"
        place.mkdir(parents=True, exist_ok=True)
        for maker, image in drawings.items():
            (place / f"{maker}.png").write_bytes(image)
        kept += 1
    print(f"{kept} classes, {kept * len(MAKERS)} images of {len(MAKERS)} makers")


def packed(package: str, pattern: str, scratch: Path) -> list[tuple[str, bytes]]:
    """The files of an npm package that match `pattern`: what its group matched, and the content."""
    folder = scratch / re.sub(r"\W", "_", package)
    if not folder.exists():
        folder.mkdir()
        subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        members = ((re.fullmatch(pattern, member.name), member) for member in archive if member.isfile())
        return [(match[1], archive.extractfile(member).read()) for match, member in members if match]  # type: ignore[union-attr]


def as_png(content: bytes) -> bytes:
    """A drawing, PNG, WebP or SVG, on white, SIZE x SIZE pixels."""
    import resvg_py
    from PIL import Image

    if b"<svg" in content[:1000]:
        content = bytes(resvg_py.svg_to_bytes(svg_string=content.decode(), width=SIZE, height=SIZE))
    with Image.open(io.BytesIO(content)) as drawn:
        image = drawn.convert("RGBA").resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    buffer = io.BytesIO()
    white.convert("RGB").save(buffer, format="PNG")
    return buffer.getvalue()


def compare(project: Path, weights: Path, out: Path) -> None:
    """One retraining a way; its figures are kept in OUT and printed as a table."""
    out.mkdir(parents=True, exist_ok=True)
    (project / "weights.safetensors").write_bytes(weights.read_bytes())
    for way, sets in WAYS.items():
        kept = out / f"{way.replace(' ', '_')}.json"
        if kept.exists():
            continue
        subprocess.run(["git", "checkout", "--quiet", "params.yaml"], cwd=project, check=True)
        arguments = [argument for text in sets for argument in ("--set", text)]
        command = [str(project / ".venv/bin/kshot"), "retrain", "--params", "benchmarks/emoji.yaml", *arguments]
        began = time.monotonic()
        subprocess.run(command, cwd=project, check=True)
        kept.write_text(json.dumps({"way": way, "seconds": time.monotonic() - began, **figures(project)}, indent=2))
    show(out)


def figures(project: Path) -> dict[str, Any]:
    """What the last retraining of the project left."""
    reports = project / "reports"
    last = json.loads((reports / "train.jsonl").read_text().splitlines()[-1])
    space = json.loads((reports / "space.json").read_text())
    metrics = json.loads((reports / "metrics.json").read_text())
    return {"training": last, "parameters": space["parameters"], "accuracy": metrics["accuracy"], "space": space}


def show(out: Path) -> None:
    rows = [json.loads((out / f"{way.replace(' ', '_')}.json").read_text()) for way in WAYS]
    protocols = list(rows[0]["accuracy"])
    print(f"| adaptation | {' | '.join(protocols)} | training | memory | learned of all parameters |")
    print("|---" * (len(protocols) + 4) + "|")
    for row in rows:
        scores = [
            f"{100 * score['mean']:.2f} [{100 * score['low']:.2f}, {100 * score['high']:.2f}]"
            for score in row["accuracy"].values()
        ]
        learned = f"{row['parameters']['learned']:,} of {row['parameters']['total']:,}"
        training = f"{row['training']['seconds']:.0f} s | {row['training']['peak_memory_mb']:,.0f} MB"
        print(f"| {row['way']} | {' | '.join(scores)} | {training} | {learned} |")


def compress(project: Path, chart: Path) -> None:
    """Accuracy on the test episodes of the project's model with d principal axes, in 32 and in 8 bits a number."""
    import matplotlib

    matplotlib.use("Agg")
    import numpy as np
    import torch
    from matplotlib import pyplot

    from kshot.evaluation.evaluate import accuracies, predict_episodes
    from kshot.lifecycle.data.packed import image_ids, of_splits, read_classes, read_episodes, read_manifest
    from kshot.lifecycle.project import layout
    from kshot.lifecycle.stages.features import inputs_of
    from kshot.methods.saving import load_method
    from kshot.nets.embedding import projected
    from kshot.nets.pca import principal_axes, quantise, restore
    from kshot.nets.points import Points

    torch.manual_seed(0)
    embedding = load_method(project / layout.MODEL).embedding
    inputs, classes, manifest = inputs_of(project, embedding), read_classes(project), read_manifest(project)
    training, test = (
        np.unique(np.concatenate(image_ids(manifest, of_splits(classes, [split])))) for split in ("train", "test")
    )
    known, points = projected(embedding, inputs, training), projected(embedding, inputs, test)
    width = points.shape[1]
    dims = [d for d in (4, 8, 16, 32, 64, 128, 256, 512) if d < width]
    rows = []
    for dim in (*dims, None):
        axes = principal_axes(known, dim) if dim else None
        reduced = points @ axes.axes.T + axes.offset if axes else points
        bank = quantise(reduced)
        for bits, values in ((32, reduced), (8, restore(bank))):
            for protocol in ("5w1s", "20w1s"):
                asked = read_episodes(project, "test", protocol)
                scores = accuracies(predict_episodes(Points(test, values), asked))
                rows.append((dim or width, bits, protocol, 100 * float(scores.mean())))
    print("| numbers | bits | bytes a class | 5w1s | 20w1s |\n|---|---|---|---|---|")
    for (dim, bits, _, first), (*_, second) in zip(rows[::2], rows[1::2], strict=True):
        print(f"| {dim} | {bits} | {dim * bits // 8:,} | {first:.2f} | {second:.2f} |")
    figure, axis = pyplot.subplots(figsize=(7, 3.6))
    for protocol, colour in (("5w1s", "#1f77b4"), ("20w1s", "#d62728")):
        for bits, style in ((32, "-o"), (8, "--s")):
            line = [(d * bits / 8, score) for d, b, p, score in rows if b == bits and p == protocol]
            axis.plot(*zip(*line, strict=True), style, color=colour, label=f"{protocol}, {bits} bits", markersize=4)
    axis.set(xscale="log", xlabel="bytes a stored class", ylabel="accuracy, %")
    axis.grid(alpha=0.3)
    axis.legend()
    figure.tight_layout()
    figure.savefig(chart)


if __name__ == "__main__":
    command, *places = sys.argv[1:] or ["help"]
    known: dict[str, tuple[Callable[..., None], int]] = {
        "images": (images, 1),
        "compare": (compare, 3),
        "compress": (compress, 2),
    }
    if command not in known or len(places) != known[command][1]:
        sys.exit(__doc__)
    known[command][0](*map(Path, places))
