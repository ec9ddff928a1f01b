"""Stage ingest: decodes and packs every image once, with a manifest of the originals."""

from pathlib import Path

import pandas as pd

from kshot.data.images import Packed, pack, pack_jpegs
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
    # Texts and numbers, and not records: the parts of a million paths would take a gigabyte.
    good: list[tuple[str, str, int, int]] = []
    bad: list[tuple[str, str]] = []
    for record in written:
        name = record.path.relative_to(raw).as_posix()
        if isinstance(record, Packed):
            good.append((name, record.content, record.width, record.height))
        else:
            bad.append((name, record.reason))
    if not good:
        first = f", the first {bad[0][0]}: {bad[0][1]}" if bad else ""
        raise DataError(f"none of the {len(bad)} files can be read as an image{first}; add data with `kshot data add`")
    source = source.set_index("path")
    manifest = source.loc[[row[0] for row in good]].reset_index()
    for place, column in enumerate(("content", "width", "height"), start=1):
        manifest[column] = [row[place] for row in good]
    manifest.to_parquet(packed / "manifest.parquet", index=False)
    table = pd.DataFrame(bad, columns=["path", "reason"])
    table.insert(1, "class", source.loc[table["path"], "class"].to_numpy())
    table.to_csv(packed / "unreadable.csv", index=False)
    print(
        f"{len(manifest)} images of {manifest['class'].nunique()} classes packed, {len(table)} unreadable", flush=True
    )


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
