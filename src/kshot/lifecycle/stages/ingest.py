"""Stage ingest: decodes and packs every image once, with a manifest of the originals."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from kshot import full_disk
from kshot.data.images import Stored
from kshot.data.shards import pack_shards
from kshot.data.shards.pack_shards import Origin
from kshot.data.shards.packed_shards import TABLE, Shard
from kshot.data.shards.shard_plan import SIZES, ShardSizes, shards_of
from kshot.errors import DataError, KshotError
from kshot.lifecycle.data.packed import has_pixels
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages.entry import stage_main
from kshot.lifecycle.stages.shards import finished_shards, ingest_on_ray, ray_engine
from kshot.lifecycle.stages.shards.shard_store import ShardStore
from kshot.lifecycle.stages.shards.stored_rows import StoredRows
from kshot.params.engine import engine_here
from kshot.params.schema import Params
from kshot.params.sections.ingest import Ingest

Call = tuple[Path, str, list[str], Ingest, tuple[str, ...]]  # arguments of `ingest_on_ray.finish_on_node`


def run(root: Path, params: Params, sizes: ShardSizes = SIZES) -> None:
    """Write the packed pixels as shards, their table, their manifest, and the list of unreadable files."""
    raw, packed = root / layout.RAW, root / layout.PACKED
    source = read_raw_manifest(raw / "manifest.csv")
    packed.mkdir(parents=True, exist_ok=True)
    written: list[Shard] = []
    # Texts and numbers, and not records: the parts of a million paths would take a gigabyte.
    good: list[tuple[str, str, int, int]] = []
    bad: list[tuple[str, str]] = []
    names = iter(source["path"].tolist())
    store = ShardStore(root, finished_shards.STAGE)
    for shard, origins in _packed(store, source, params, sizes):
        written += [shard] if shard else []
        for origin, name in zip(origins, names, strict=False):
            if origin.is_readable:
                good.append((name, origin.content, origin.width, origin.height))
            else:
                bad.append((name, origin.reason))
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
    _put(store, written, params.ingest)
    print(
        f"{len(manifest)} images of {manifest['class'].nunique()} classes packed, {len(table)} unreadable", flush=True
    )


def _packed(
    store: ShardStore, source: pd.DataFrame, params: Params, sizes: ShardSizes
) -> Iterator[tuple[Shard | None, list[Origin]]]:
    """Each shard, of an earlier ingest or written now, with the origins of its images.

    Raises KshotError with the number of the shard if the disk is full.
    """
    paths, ingest = source["path"].tolist(), params.ingest
    plan = shards_of(paths, source["class"].tolist(), pack_shards.row_bytes(ingest), sizes)
    packer = finished_shards.packer(store.root, ingest)
    names = [finished_shards.made_from(packer, paths[rows.start : rows.stop]) for rows in plan]
    former = tuple(sorted({*store.begin(packer)} - {*names}))
    is_on_ray = engine_here(params.engine) == "ray"
    root = store.root.resolve() if is_on_ray else store.root
    calls = (
        (root, name, paths[rows.start : rows.stop], ingest, former) for rows, name in zip(plan, names, strict=True)
    )
    number = 1
    try:
        for packed in _finished(store, root, calls, is_on_ray=is_on_ray):
            yield packed
            number += 1
    except OSError as error:
        if not full_disk.is_full(error):
            raise
        raise KshotError(
            f"the disk of {store.folder} is full at shard {number} of {len(plan)}; free some space and run again, "
            "finished shards stay"
        ) from error
    store.delete_notes(but=names)


def _finished(
    store: ShardStore, root: Path, calls: Iterable[Call], *, is_on_ray: bool
) -> Iterator[tuple[Shard | None, list[Origin]]]:
    if is_on_ray:
        with ray_engine.tasks(root) as (run, _):
            yield from run(ingest_on_ray.finish_on_node, calls)
    else:
        yield from _here(store, calls)


def _here(store: ShardStore, calls: Iterable[Call]) -> Iterator[tuple[Shard | None, list[Origin]]]:
    stored: StoredRows[Stored] | None = None
    for root, name, paths, ingest, former in calls:
        stored = stored or finished_shards.rows_of(store, former)
        yield finished_shards.finish(store, name, [root / layout.RAW / path for path in paths], ingest, stored)


def _put(store: ShardStore, written: Sequence[Shard], ingest: Ingest) -> None:
    """Put the shards and their table among the packed images, in place of others."""
    packed = store.root / layout.PACKED
    store.delete_shards(but={shard.file for shard in written})
    for path in packed.iterdir():
        if has_pixels(path.name) or path.name == TABLE:
            path.unlink()
    for shard in dict.fromkeys(written):  # two shards of equal images are one file
        store.put(shard, packed)
    pack_shards.write_table(packed, written, ingest)


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
