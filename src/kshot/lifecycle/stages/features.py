"""Features of every image from a frozen backbone, computed once and cached by DVC, for training and evaluation."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from kshot.data.batches import Pixels, gather, resident
from kshot.lifecycle.data.packed import read_classes, read_images
from kshot.lifecycle.project import layout
from kshot.nets.devices import choose_device
from kshot.nets.embedding import in_precision
from kshot.nets.embedding_settings import EmbeddingSettings, content_of
from kshot.nets.new_embedding import new_embedding
from kshot.params.schema import Params, recorded_ingest

FEATURES, KEPT = "features.npy", "embedded.json"
FROZEN = ("projection", "frozen")  # adaptations that freeze the backbone
SAME = ("backbone", "features", "input", "base")  # settings that determine the features, besides ingest


def write_features(root: Path, params: Params) -> None:
    """Embed every packed image, and its rotations if classes are rotated, with the frozen backbone."""
    embedding = new_embedding(params, root)
    images, device = read_images(root), choose_device(params.train.device)
    turns = int(read_classes(root)["rotation"].max()) + 1
    folder = root / layout.EMBEDDED
    folder.mkdir(parents=True, exist_ok=True)
    count, width = turns * len(images), embedding.width
    written = np.lib.format.open_memmap(folder / FEATURES, "w+", np.float32, (count, width))
    embedding = embedding.to(device=device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    pixels, began = resident(images, device), time.perf_counter()
    precision = in_precision(embedding, bf16=params.embed.precision == "bf16")
    with precision, torch.inference_mode(), tqdm(total=count, desc="embed", unit="image") as bar:
        for part in torch.arange(count).split(params.embed.batch_size):  # type: ignore[no-untyped-call]
            found = embedding.features(gather(pixels, part).to(device)).float()
            written[part[0] : part[-1] + 1] = found.cpu().numpy()
            bar.update(len(part))
    written.flush()
    seconds = time.perf_counter() - began
    content = content_of(embedding.settings)
    kept = {key: content[key] for key in (*SAME, "ingest")}
    (folder / KEPT).write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
    for note in embedding.backbone.notes:
        print(note, flush=True)
    size = embedding.input.size
    print(
        f"{params.train.network.backbone} at {size} x {size} pixels: {count:,} images to {width:,} numbers each "
        f"in {seconds:.0f} s, {count / seconds:.0f} images/s on {device.type}",
        flush=True,
    )


def read_features(root: Path, settings: EmbeddingSettings) -> NDArray[np.float32] | None:
    """The features (turns * N, width), memory-mapped, for an embedding of these settings; None if there are none, or
    only those of another backbone."""
    path = root / layout.EMBEDDED / KEPT
    if settings.adaptation not in FROZEN or not path.exists():
        return None
    kept = json.loads(path.read_text(encoding="utf-8"))
    ours = content_of(settings)
    if any(_content(kept, key) != _content(ours, key) for key in SAME) or recorded_ingest(kept) != settings.ingest:
        return None
    features: NDArray[np.float32] = np.load(root / layout.EMBEDDED / FEATURES, mmap_mode="r")
    return features


def _content(settings: Mapping[str, Any], key: str) -> Any:
    """The value of one of SAME; of the weights their hash, because a file may have another name."""
    value = settings.get(key)
    return value["weights"] if key == "base" and value else value


def inputs_of(root: Path, settings: EmbeddingSettings) -> Pixels:
    """The input for an embedding of these settings: stored features if they match it, else the packed
    pixels."""
    features = read_features(root, settings)
    return read_images(root) if features is None else features
