"""Stage split: assigns every class, with its rotations, to train, val or test."""

import json
from pathlib import Path

import pandas as pd

from kshot.data.splits import SPLITS, choose_by, split_classes
from kshot.errors import DataError
from kshot.lifecycle.data.packed import read_manifest
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages.entry import stage_main
from kshot.params.schema import Params


def run(root: Path, params: Params) -> None:
    """Write the table of classes; a row's position is its label."""
    settings, manifest = params.split, read_manifest(root)
    classes = manifest.drop_duplicates("class").sort_values("class")
    groups = dict(zip(classes["class"], classes["group"], strict=True))
    table = dict(zip(classes["class"], classes["split"], strict=True))
    try:
        by = choose_by(settings.by, groups, table)
        place = split_classes(
            groups,
            table,
            by=by,
            val=settings.val,
            test=settings.test,
            seed=settings.seed,
            assign=settings.assign,
        )
    except DataError as error:
        raise DataError(f"{error}; a split that fits: kshot fit-settings --yes") from error
    rows = [
        {"class": name, "group": groups[name], "rotation": turn, "split": place[name]}
        for name in groups
        for turn in range(settings.turns(place[name]))
    ]
    folder = root / layout.SPLIT
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_parquet(folder / "classes.parquet", index=False)
    counts = {split: sum(found == split for found in place.values()) for split in SPLITS}
    text = json.dumps({"by": by, **counts}, indent=2)
    (folder / "split.json").write_text(text + "\n", encoding="utf-8")
    text = ", ".join(f"{count} {split}" for split, count in counts.items())
    more = {"none": "", "train": ", those of train in 4 rotations", "all": ", each in 4 rotations"}[settings.rotations]
    drawn = [name for name in SPLITS[1:] if by == "table" and name not in table.values()]
    if drawn:
        more += f"; the table has none for {' and '.join(drawn)}, so they are drawn from its train"
    print(f"{len(groups)} classes by {by}: {text}{more}", flush=True)


if __name__ == "__main__":
    stage_main(run)
