"""dvc.yaml: one name a stage everywhere, paths as in layout.py, and exactly the code that each stage imports."""

import ast
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from kshot.lifecycle.project import layout
from kshot.params.schema import Params

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
STAGES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def file_of(module: str) -> Path | None:
    """The file of a kshot module, or None if there is no such module."""
    path = SOURCE.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@cache
def imported(file: Path) -> frozenset[str]:
    """The kshot modules that `file` imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively; the closure reads absolute imports"
            assert node.module is not None
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    kshot = {name for name in found if name.split(".")[0] == "kshot" and file_of(name)}
    # Importing a.b.c runs a and a.b too.
    return frozenset(".".join(name.split(".")[:end]) for name in kshot for end in range(1, name.count(".") + 2))


def is_empty(file: Path) -> bool:
    """Whether a file decides nothing: a docstring at most, or the table of public names, which no stage asks."""
    if file == SOURCE / "kshot" / "__init__.py":
        return True
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


def closure(module: str) -> set[str]:
    """The files, relative to the root, that running `module` imports directly or not."""
    todo, seen = [module], set()
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            file = file_of(name)
            assert file is not None, f"{name} has no file"
            todo += imported(file)
    files = {file for name in seen if (file := file_of(name)) and not is_empty(file)}
    return {file.relative_to(ROOT).as_posix() for file in files}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_depends_on_exactly_the_code_that_it_imports(name: str) -> None:
    listed = {dep for dep in STAGES[name]["deps"] if dep.startswith("src/")}
    needed = closure(f"kshot.lifecycle.stages.{name}")
    missing, superfluous = sorted(needed - listed), sorted(listed - needed)
    assert not missing and not superfluous, (
        f"dvc.yaml, stage {name}: add to deps {missing or 'nothing'}, remove {superfluous or 'nothing'}"
    )


@pytest.mark.parametrize("name", STAGES)
def test_stage_module_command_and_section_bear_one_name(name: str) -> None:
    assert STAGES[name]["cmd"] == f"python -m kshot.lifecycle.stages.{name}"
    assert (SOURCE / "kshot/lifecycle/stages" / f"{name}.py").is_file()
    assert name in {key.split(".")[0] for key in STAGES[name]["params"]}
    assert {key.split(".")[0] for key in STAGES[name]["params"]} <= set(Params.__dataclass_fields__)


@pytest.mark.parametrize("name", STAGES)
def test_no_section_hides_a_param_from_the_run_cache(name: str) -> None:
    # DVC's key of a run leaves out whatever is called so, params too: another size would bring old images back.
    hidden = {"size", "nfiles"}
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for place in STAGES[name]["params"]:
        value = params
        for part in place.split("."):
            value = value[part]
        assert not hidden & keys_of(value), f"{name}: name the params of {place} one by one"


def keys_of(value: Any) -> set[str]:
    """The keys of a mapping and of all that it holds."""
    return set(value).union(*map(keys_of, value.values())) if isinstance(value, dict) else set()


def test_layout_and_dvc_yaml_name_the_same_places() -> None:
    places = {value.as_posix() for value in vars(layout).values() if isinstance(value, Path)}
    outputs = set()
    for stage in STAGES.values():
        for kind in ("outs", "metrics", "plots"):
            outputs |= {entry if isinstance(entry, str) else next(iter(entry)) for entry in stage.get(kind, [])}
    assert outputs <= places, f"dvc.yaml writes what layout.py does not know: {sorted(outputs - places)}"
    written_elsewhere = {layout.RAW, layout.RAW_DVC, layout.VERSIONS, layout.NAMES, layout.REPORT, layout.STATE}
    written_elsewhere.add(layout.MLRUNS)
    assert places - outputs == {path.as_posix() for path in written_elsewhere}


def test_every_file_that_a_stage_reads_is_written_by_one_or_added() -> None:
    outputs = [entry for stage in STAGES.values() for entry in stage["outs"]] + [layout.RAW.as_posix()]
    for name, stage in STAGES.items():
        for dep in stage["deps"]:
            if not dep.startswith("src/"):
                assert any(dep == out or dep.startswith(f"{out}/") for out in outputs), f"{name} reads {dep}"
