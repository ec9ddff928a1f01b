"""The first step of `kshot forget`: makes a data version of the current one without some of its images."""

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from kshot.errors import DataError
from kshot.lifecycle.data import data_versions, working_copy
from kshot.lifecycle.data.changes import imported_images
from kshot.lifecycle.data.changes.add_version import FEWEST_CLASSES
from kshot.lifecycle.data.data_versions import DataVersion
from kshot.lifecycle.data.dvc_cache import listing
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.tables import counted

MANIFEST = "manifest.csv"


def remaining(root: Path, md5s: Collection[str]) -> pd.DataFrame | None:
    """The manifest of the current data version without the images of these md5s; None if it has none of them.

    Raises DataError if too little would be left to train on, and if data/raw is not here.
    """
    here = data_versions.current(root)
    if here is None:
        return None
    content = {entry["relpath"]: entry["md5"] for entry in listing(root, f"{here.md5}.dir")}
    if not set(content.values()) & set(md5s):
        return None
    if not (root / layout.RAW / MANIFEST).exists():
        raise DataError(f"{layout.RAW} is not here; bring it first: kshot data restore {here.short}")
    table = pd.read_csv(root / layout.RAW / MANIFEST, dtype=str, keep_default_na=False, encoding="utf-8")
    left = table[~table["path"].map(content.get).isin(set(md5s))]
    if left["class"].nunique() < FEWEST_CLASSES or ("train" in set(table["split"]) - set(left["split"])):
        raise DataError(
            f"that is all of data version {here.short}, or leaves fewer than {FEWEST_CLASSES} classes of it, or none "
            "to train on; nothing was forgotten: first add the data that stays (kshot data add FOLDER), then forget"
        )
    return left


def without_images(root: Path, md5s: Collection[str]) -> DataVersion | None:
    """Make the current data version one without these images; None if it has none of them.

    The other files stay byte for byte as they are. Raises DataError as `remaining`, and if data/raw holds changes.
    """
    working_copy.mend(root)
    left = remaining(root, md5s)
    if left is None:
        return None
    here = data_versions.current(root)
    assert here is not None
    working_copy.refuse_unsaved(root)
    with working_copy.workspace(root) as workspace:
        fresh = workspace / layout.RAW.name
        for path in left["path"]:
            imported_images.link(root / layout.RAW / path, fresh / path)
        if "drawer" in left and not (left["drawer"] != "").any():  # as an addition of the same images writes it
            left = left.drop(columns="drawer")
        left.to_csv(fresh / MANIFEST, index=False, lineterminator="\n")
        with working_copy.replacing(root):
            fresh.rename(root / layout.RAW)
            # The files are those that were there: DVC would copy every one of them out of its cache again.
            working_copy.dvc(root, "add", "--no-relink", str(layout.RAW))
            out = working_copy.tracked(root)
            assert out is not None
            known = next((one for one in data_versions.versions(root) if one.md5 == out.md5), None)
            if known is not None:
                return known
            version = DataVersion(
                md5=out.md5,
                added=datetime.now(UTC).isoformat(timespec="seconds"),
                images=len(left),
                classes=left["class"].nunique(),
                files=out.files,
                size=out.size,
                source=here.source,
                note=f"{here.short} without {counted(here.images - len(left), 'erased image')}",
                address=here.address,
                base=here.md5,
            )
            data_versions.enter(root, version)
    return version
