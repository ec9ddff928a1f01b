"""Features of every image from a frozen backbone, computed once and cached by DVC, for training and evaluation.

`features.npy` has those of the images as they are, which training uses; where `evaluate.views` needs more, each further
view of `kshot.nets.shifted_views` has a file of its own, `features-2.npy` the mirror image's.
"""

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
from kshot.data.feature_views import FeatureViews
from kshot.lifecycle.data.packed import read_classes, read_images
from kshot.lifecycle.project import layout
from kshot.nets.devices import choose_device
from kshot.nets.embedding import Embedding, in_precision
from kshot.nets.embedding_settings import EmbeddingSettings, content_of
from kshot.nets.new_embedding import new_embedding
from kshot.nets.shifted_views import views
from kshot.params.schema import AUTO, Params, recorded_ingest

FEATURES, RECORD = "features.npy", "embedded.json"
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
    seen = views_of(params)
    for old in folder.glob("features*.npy"):
        old.unlink()
    written = [
        np.lib.format.open_memmap(folder / file_of(view), "w+", np.float32, (count, width)) for view in range(seen)
    ]
    embedding = embedding.to(device=device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    pixels, began = resident(images, device), time.perf_counter()
    precision = in_precision(embedding, bf16=params.embed.precision == "bf16")
    with precision, torch.inference_mode(), tqdm(total=count, desc="embed", unit="image") as bar:
        for part in torch.arange(count).split(params.embed.batch_size):  # type: ignore[no-untyped-call]
            for file, view in zip(written, views(gather(pixels, part).to(device), seen), strict=True):
                file[part[0] : part[-1] + 1] = embedding.features(view).float().cpu().numpy()
            bar.update(len(part))
    for file in written:
        file.flush()
    seconds = time.perf_counter() - began
    content = content_of(embedding.settings)
    saved = {key: content[key] for key in (*SAME, "ingest")} | ({"views": seen} if seen > 1 else {})
    (folder / RECORD).write_text(json.dumps(saved, indent=2) + "\n", encoding="utf-8")
    for note in embedding.backbone.notes:
        print(note, flush=True)
    size, of_views = embedding.input.size, f" in {seen} views" if seen > 1 else ""
    print(
        f"{params.train.network.backbone} at {size} x {size} pixels: {count:,} images{of_views} to {width:,} numbers "
        f"each in {seconds:.0f} s, {count / seconds:.0f} images/s on {device.type}",
        flush=True,
    )


def views_of(params: Params) -> int:
    """How many views of each image evaluation may need: `auto` measures one and two."""
    return 2 if params.evaluate.views == AUTO else params.evaluate.views


def file_of(view: int) -> str:
    """The name of the features of a view, 0 for the images as they are."""
    return f"features-{view + 1}.npy" if view else FEATURES


def read_features(root: Path, settings: EmbeddingSettings, views: int = 1) -> NDArray[np.float32] | FeatureViews | None:
    """The features for an embedding of these settings, memory-mapped: (turns * N, width), or those of `views` views.

    None if there are none, or only those of another backbone or of other views.
    """
    path = root / layout.EMBEDDED / RECORD
    if settings.adaptation not in FROZEN or not path.exists():
        return None
    saved = json.loads(path.read_text(encoding="utf-8"))
    ours = content_of(settings)
    if any(_content(saved, key) != _content(ours, key) for key in SAME) or recorded_ingest(saved) != settings.ingest:
        return None
    if views not in (1, saved.get("views", 1)):
        return None
    found = [np.load(root / layout.EMBEDDED / file_of(view), mmap_mode="r") for view in range(views)]
    return FeatureViews(found) if views > 1 else found[0]


def _content(settings: Mapping[str, Any], key: str) -> Any:
    """The value of one of SAME; of the weights their hash, because a file may have another name."""
    value = settings.get(key)
    return value["weights"] if key == "base" and value else value


def inputs_of(root: Path, embedding: Embedding) -> Pixels:
    """The input for this embedding: stored features if they match its settings and views, else the packed pixels."""
    features = read_features(root, embedding.settings, embedding.views)
    return read_images(root) if features is None else features
