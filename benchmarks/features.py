"""How fast a held backbone's features are taken, beside the bare forward pass of the same network in the same run.

    python benchmarks/features.py PROJECT    # with adaptation: frozen or projection, after `dvc repro episodes`

Leave the machine alone meanwhile.
"""

import contextlib
import io
import json
import sys
import time
from pathlib import Path

import torch

from kshot.lifecycle.data.packed import read_images
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages import embed
from kshot.nets.memory import keep_freed_memory
from kshot.nets.new_embedding import new_embedding
from kshot.params.schema import load_params

BATCHES = 10


def main(root: Path) -> None:
    params = load_params(root / "params.yaml")
    if not params.train.network.is_frozen:
        found = params.train.network.adaptation
        sys.exit(f"train.network.adaptation is {found}; needs projection or frozen, or nothing is embedded")
    count = len(read_images(root))
    with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
        began = time.perf_counter()
        embed.run(root, params)  # first: nothing but the stage itself prepares this process for it
        whole = count / (time.perf_counter() - began)
    embedding = new_embedding(params, root).to(memory_format=torch.channels_last).eval()
    size, channels, batch = embedding.input.size, params.ingest.channels, params.embed.batch_size
    keep_freed_memory()
    pixels = torch.rand(batch, channels, size, size).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        embedding.backbone(pixels)
        began = time.perf_counter()
        for _ in range(BATCHES):
            embedding.backbone(pixels)
        bare = BATCHES * batch / (time.perf_counter() - began)
    kept = json.loads((root / layout.EMBEDDED / "embedded.json").read_text())
    print(f"{kept['backbone']}, {size} x {size} pixels, {count:,} images, {torch.get_num_threads()} threads")
    print(f"bare forward pass {bare:.0f} images/s; the stage says its own rate above; with its start {whole:.0f}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
