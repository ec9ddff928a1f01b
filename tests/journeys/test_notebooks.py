"""Each notebook of docs runs from its first cell to its last, as a reader would run it."""

from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs/notebooks").glob("*.ipynb"))


@pytest.mark.journeys
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path, tmp_path: Path) -> None:
    client = pytest.importorskip("nbclient", reason="not installed; the extra `docs` has it").NotebookClient
    client(nbformat.read(path, as_version=4), timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()
