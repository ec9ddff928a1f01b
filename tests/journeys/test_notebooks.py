"""Each notebook of docs runs from its first cell to its last, as a reader would run it. The trainings are shorter.

test_sweep.py runs the one that reads a registry: its project has two versions.
"""

from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = Path(__file__).parents[2] / "docs/notebooks"
SHORTER = {
    "first-hour": {"steps=200, validate_every=50": "steps=20, validate_every=20"},
    "own-loss": {'"steps": 150, "validate_every": 50': '"steps": 15, "validate_every": 15'},
}

pytestmark = pytest.mark.journeys


@pytest.mark.parametrize("name", sorted(SHORTER))
def test_it_runs(name: str, tmp_path: Path) -> None:
    run(name, SHORTER[name], tmp_path)


def run(name: str, changes: dict[str, str], folder: Path) -> None:
    """Run the cells of a notebook in `folder`; `changes`: what stands for a text that one of them has."""
    client = pytest.importorskip("nbclient", reason="not installed; the extra `docs` has it").NotebookClient
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    for before, after in changes.items():
        (cell,) = (cell for cell in notebook.cells if cell.cell_type == "code" and before in cell.source)
        cell.source = cell.source.replace(before, after)
    client(notebook, timeout=900, resources={"metadata": {"path": str(folder)}}).execute()


def test_every_notebook_is_run() -> None:
    assert sorted([*SHORTER, "reading-the-registry"]) == sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
