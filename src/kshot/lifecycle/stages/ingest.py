"""Stage ingest: decodes and packs every image once, with a manifest of the originals."""

from pathlib import Path

import pandas as pd

from kshot.data.images import Packed, Unreadable, pack, pack_jpegs
from kshot.errors import DataError
from kshot.lifecycle.data.packed import JPEGS, PIXELS
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages.entry import stage_main
from kshot.params.schema import Params


def run(root: Path, params: Params) -> None:
    """Write the packed pixels, their manifest, and the list of unreadable files."""
    raw, packed = root / layout.RAW, root / layout.PACKED
    source = read_raw_manifest(raw / "manifest.csv")
    packed.mkdir(parents=True, exist_ok=True)
    files = (raw / path for path in source["path"])
    jpegs = params.ingest.store == "jpeg"
    (packed / (PIXELS if jpegs else JPEGS)).unlink(missing_ok=True)
    written = pack_jpegs(files, packed / JPEGS, params.ingest) if jpegs else pack(files, packed / PIXELS, params.ingest)
    records = list(written)
    source = source.set_index("path")
    good = [record for record in records if isinstance(record, Packed)]
    bad = [record for record in records if isinstance(record, Unreadable)]
    if not good:
        first = f", the first {bad[0].path.relative_to(raw).as_posix()}: {bad[0].reason}" if bad else ""
        raise DataError(f"none of the {len(bad)} files can be read as an image{first}; add data with `kshot data add`")
    names = [record.path.relative_to(raw).as_posix() for record in good]
    manifest = source.loc[names].reset_index()
    manifest["content"] = [record.content for record in good]
    manifest["width"] = [record.width for record in good]
    manifest["height"] = [record.height for record in good]
    manifest.to_parquet(packed / "manifest.parquet", index=False)
    lost = [record.path.relative_to(raw).as_posix() for record in bad]
    table = pd.DataFrame(
        {"path": lost, "class": source.loc[lost, "class"].to_numpy(), "reason": [record.reason for record in bad]}
    )
    table.to_csv(packed / "unreadable.csv", index=False)
    print(f"{len(good)} images of {manifest['class'].nunique()} classes packed, {len(bad)} unreadable", flush=True)


def read_raw_manifest(path: Path) -> pd.DataFrame:
    """The manifest of the raw data, with all values as text. Raises DataError if it is missing or lacks a column."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read ({' '.join(str(error).split())}); add data with `kshot data add SOURCE`"
        ) from error
    missing = [column for column in ("path", "class", "group", "split") if column not in table]
    if missing:
        raise DataError(f"{path} lacks the column {missing[0]}; add the data again with `kshot data add SOURCE`")
    return table


if __name__ == "__main__":
    stage_main(run)
