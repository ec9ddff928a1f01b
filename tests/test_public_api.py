"""The names that `import kshot` provides, the cost of the import, and that it needs none of the services."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import kshot
from kshot import classifiers

SOURCE = Path(kshot.__file__).parent
NAMES = [
    "Client",
    "FewShotClassifier",
    "FewShotModel",
    "Interval",
    "KshotError",
    "classifiers",
    "episodes",
    "evaluate",
    "load",
    "losses",
    "mining",
    "train",
]
FUNCTIONS = {
    "losses": ("triplet_loss", "contrastive_loss", "supervised_contrastive_loss", "prototypical_loss"),
    "mining": ("batch_hard", "semi_hard_nearest", "hard_pairs", "hardest_negatives", "nearest_classes"),
    "classifiers": ("prototype_scores", "nearest_neighbour_scores", "logistic_regression_scores", "pt_map_scores"),
    "episodes": ("draw_episodes", "EpisodeSet"),
}
WITHOUT_SERVICES = """
import sys
for name in ("prefect", "dvc", "mlflow", "great_expectations", "pandas"):
    sys.modules[name] = None
import kshot
for name in kshot.__all__:
    getattr(kshot, name)
"""


def stub(path: Path) -> set[str]:
    """The public names of a stub file."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found


def python(code: str) -> str:
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def test_the_public_names() -> None:
    assert kshot.__all__ == NAMES
    assert set(NAMES) <= set(dir(kshot))
    for name in NAMES:
        assert getattr(kshot, name) is not None
    with pytest.raises(AttributeError, match="module 'kshot' has no attribute 'nothing'"):
        kshot.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_the_stubs_name_what_is_there() -> None:
    assert stub(SOURCE / "__init__.pyi") == set(NAMES)
    named = stub(SOURCE / "classifiers/__init__.pyi")
    for name in named:
        assert getattr(classifiers, name) is not None
    constants = {name for name in vars(classifiers) if name.isupper() and not name.startswith("_")}
    assert named == constants | set(classifiers._FUNCTIONS)  # type: ignore[attr-defined]


@pytest.mark.parametrize("module", FUNCTIONS)
def test_the_functions_beneath_are_reached_by_their_module(module: str) -> None:
    for name in FUNCTIONS[module]:
        assert callable(getattr(getattr(kshot, module), name))


def test_importing_kshot_takes_no_time_and_no_torch() -> None:
    heavy = ("torch", "numpy", "sklearn", "PIL", "timm", "yaml", "importlib.metadata")
    code = (
        "import sys, time; began = time.process_time(); import kshot; took = time.process_time() - began; "
        f"print(took < 0.2, sorted(set({heavy!r}) & set(sys.modules)))"
    )
    assert python(code).strip() == "True []"


def test_every_public_name_needs_no_service() -> None:
    assert python(WITHOUT_SERVICES) == ""
