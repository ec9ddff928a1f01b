"""Stage embed: computes the features of every image once if the backbone is frozen."""

import json
from pathlib import Path

from kshot.lifecycle.project import layout
from kshot.lifecycle.stages.entry import stage_main
from kshot.params.schema import Params


def run(root: Path, params: Params) -> None:
    """Write the features; if the backbone is trained, write only a note."""
    if params.train.network.is_frozen:
        from kshot.lifecycle.stages.shards.embed_images import (
            write_features,  # here, as a trained backbone needs no torch
        )
        from kshot.nets.memory import keep_freed_memory

        keep_freed_memory()
        write_features(root, params)
        return
    folder = root / layout.EMBEDDED
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "embedded.json").write_text(json.dumps({"adaptation": "learns"}) + "\n", encoding="utf-8")
    print("embed: not needed, the whole network is trained", flush=True)


if __name__ == "__main__":
    stage_main(run)
