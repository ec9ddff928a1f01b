"""Stage episodes: draws the validation and test episodes on which every model of this data version is evaluated."""

import hashlib
import json
from pathlib import Path

import numpy as np

from kshot.data.episodes import draw_episodes
from kshot.errors import DataError
from kshot.lifecycle.data.packed import drawer_numbers, image_ids, of_splits, read_classes, read_manifest
from kshot.lifecycle.project import layout
from kshot.lifecycle.settings_fit.resolved import resolved_here, written
from kshot.lifecycle.stages.entry import stage_main
from kshot.params.schema import Params


def run(root: Path, params: Params) -> None:
    """Write one file per split and protocol: support, query (ids) and classes (labels); for `auto` also its values."""
    is_auto, params = not params.has_fixed_episodes, resolved_here(root, params)
    settings, folder = params.episodes, root / layout.EPISODES
    folder.mkdir(parents=True, exist_ok=True)
    manifest, classes = read_manifest(root), read_classes(root)
    duplicate = manifest.duplicated(["class", "content"]).to_numpy()
    drawers = drawer_numbers(manifest)
    for split in ("val", "test"):
        part = of_splits(classes, [split])
        # Copies of an image are never in one episode: a query would be identical to a support image.
        members = [ids[~duplicate[ids % len(manifest)]] for ids in image_ids(manifest, part)]
        for name, protocol in settings.by_name.items():
            key = hashlib.sha256(f"{settings.seed}/{split}/{name}".encode()).digest()
            try:
                episodes = draw_episodes(
                    members,
                    part["group"].tolist(),
                    part.index.to_numpy(),
                    protocol,
                    n_query=settings.queries(protocol),
                    n_episodes=settings.n_episodes,
                    generator=np.random.default_rng(int.from_bytes(key[:8])),
                    drawers=[drawers[ids % len(manifest)] for ids in members],
                )
            except DataError as error:
                raise DataError(f"{split} episodes of {name}: {error}") from error
            np.savez(folder / f"{split}-{name}.npz", **episodes._asdict())
    if is_auto:
        text = json.dumps(written(params), indent=2)
        (root / layout.RESOLVED).write_text(text + "\n", encoding="utf-8")
    else:
        (root / layout.RESOLVED).unlink(missing_ok=True)
    names = ", ".join(settings.by_name)
    queries = f", {settings.n_query} queries a class" if is_auto else ""
    print(f"{settings.n_episodes} episodes each of {names}{queries}, for val and test", flush=True)


if __name__ == "__main__":
    stage_main(run)
