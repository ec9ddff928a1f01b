"""Stores predictions that another version made for a comparison, in the run of the model it was compared with."""

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from kshot.errors import DataError
from kshot.lifecycle.gate.paired import Results

if TYPE_CHECKING:
    from mlflow import MlflowClient

FOLDER = "champions"  # folder in the run, with a subfolder for each content


def keep(client: "MlflowClient", run_id: str, results: Results) -> dict[str, str]:
    """Store the tables in the run. Returns the arguments of `read`: the folder, and each file's sha256."""
    with tempfile.TemporaryDirectory() as scratch:
        digests = {}
        for name, table in results._asdict().items():
            path = Path(scratch) / f"{name}.parquet"
            table.to_parquet(path, index=False)
            digests[name] = _sha256(path)
        # Hash of both tables: two champions may be equally accurate on every episode but not on its classes.
        folder = f"{FOLDER}/{hashlib.sha256(''.join(digests.values()).encode()).hexdigest()[:16]}"
        client.log_artifacts(run_id, scratch, folder)
    return {"folder": folder, **digests}


def read(folder: Path, kept: dict[str, str]) -> dict[str, pd.DataFrame]:
    """The tables as they were stored, by name. Raises DataError that names a changed or missing file."""
    tables = {}
    for name in sorted(kept.keys() - {"folder"}):
        path = folder / f"{name}.parquet"
        if not path.exists() or _sha256(path) != kept[name]:
            raise DataError(f"{kept['folder']}/{path.name}")
        tables[name] = pd.read_parquet(path)
    return tables


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
