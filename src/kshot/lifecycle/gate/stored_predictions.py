"""What another version answered anew to be compared with, kept with the run of the model it was compared with."""

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from kshot.errors import DataError
from kshot.lifecycle.gate.paired import Results

if TYPE_CHECKING:
    from mlflow import MlflowClient

FOLDER = "champions"  # in the run, a folder for each content below it


def keep(client: "MlflowClient", run_id: str, answers: Results) -> dict[str, str]:
    """Keep the tables with the run. Returns what `read` needs: the folder, and each file's sha256."""
    with tempfile.TemporaryDirectory() as scratch:
        digests = {}
        for name, table in answers._asdict().items():
            path = Path(scratch) / f"{name}.parquet"
            table.to_parquet(path, index=False)
            digests[name] = _sha256(path)
        # Of both tables: two champions may answer every episode equally well and its classes not.
        folder = f"{FOLDER}/{hashlib.sha256(''.join(digests.values()).encode()).hexdigest()[:16]}"
        client.log_artifacts(run_id, scratch, folder)
    return {"folder": folder, **digests}


def read(folder: Path, kept: dict[str, str]) -> dict[str, pd.DataFrame]:
    """The tables as they were kept, by name. Raises DataError naming the file that was changed or is gone."""
    tables = {}
    for name in sorted(kept.keys() - {"folder"}):
        path = folder / f"{name}.parquet"
        if not path.exists() or _sha256(path) != kept[name]:
            raise DataError(f"{kept['folder']}/{path.name}")
        tables[name] = pd.read_parquet(path)
    return tables


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
