"""Each notebook of docs runs from its first cell to its last, as a reader would run it.

The trainings are shorter, and the registry that one of them reads is that of a copied project.
"""

from pathlib import Path

import nbformat
import pytest

from tests.journeys import shop

NOTEBOOKS = Path(__file__).parents[2] / "docs/notebooks"
SHORTER = {
    "first-hour": {"steps=200, validate_every=50": "steps=20, validate_every=20"},
    "own-loss": {'"steps": 150, "validate_every": 50': '"steps": 15, "validate_every": 15'},
    # `shop.copy` has made the project and the version of seed 0.
    "reading-the-registry": {
        'Path(tempfile.mkdtemp()) / "shop"': 'Path("home/shop").absolute()',
        'kshot(f"init {root.name}", root.parent)\n': "",
        "for seed in (0, 1)": "for seed in (1,)",
    },
}

pytestmark = pytest.mark.journeys


@pytest.mark.parametrize("name", sorted(SHORTER))
def test_it_runs(name: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, wheel_programs: Path) -> None:
    client = pytest.importorskip("nbclient", reason="not installed; the extra `docs` has it").NotebookClient
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    for before, after in SHORTER[name].items():
        (cell,) = (cell for cell in notebook.cells if cell.cell_type == "code" and before in cell.source)
        cell.source = cell.source.replace(before, after)
    if name == "reading-the-registry":
        shop.copy(tmp_path_factory, wheel_programs, tmp_path / "home")
    client(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()


def test_every_notebook_is_run() -> None:
    assert sorted(SHORTER) == sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
