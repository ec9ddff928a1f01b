"""The science runs without any installed service: each of its modules is imported with the services unimportable."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
SERVICES = ("prefect", "dvc", "mlflow", "great_expectations", "pandas")

IMPORT_WITHOUT = """
import importlib, sys

for service in {services!r}:
    sys.modules[service] = None  # importing it raises, and looking whether it is installed finds nothing
for name in {modules!r}:
    importlib.import_module(name)
"""


def science() -> list[str]:
    """The modules of the innermost ring by name."""
    files = [path.relative_to(SOURCE).with_suffix("") for path in (SOURCE / "kshot").rglob("*.py")]
    names = [".".join(file.parts).removesuffix(".__init__") for file in files]
    outer = ("kshot.lifecycle", "kshot.cli", "kshot.flows", "kshot.serve")
    return sorted(name for name in names if not name.startswith(outer))


def imports(modules: list[str]) -> subprocess.CompletedProcess[str]:
    code = IMPORT_WITHOUT.format(services=set(SERVICES), modules=modules)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)


def test_every_module_of_the_science_needs_no_service() -> None:
    assert "kshot.training.loop" in science()
    ended = imports(science())
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_the_services_are_indeed_unimportable(service: str) -> None:
    ended = imports([service])
    assert f"import of {service} halted" in ended.stderr


def test_the_command_line_answers_without_the_science_and_the_services() -> None:
    heavy = (*SERVICES, "torch", "timm", "numpy", "PIL", "yaml", "importlib.metadata")
    code = f"import sys, kshot.cli; kshot.cli.parser(); print(sorted(set({heavy!r}) & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.strip() == "[]"


VERBS = ["plan", "data versions", "models", "history", "schedule list", "audit --at 2026-01-01", "approve 1"]


def test_no_verb_imports_torch_and_plan_imports_no_pandas(tmp_path: Path) -> None:
    heavy = {"torch", "timm", "peft", "sklearn", "prefect", "pandas"}
    for name in ("dvc.yaml", "params.yaml", ".dvc/config"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(SOURCE.parent / name, tmp_path / name)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    # One process for all, those that need least first: whichever imported them would be seen.
    code = f"""
import json, sys, kshot.cli
for verb in {VERBS!r}:
    code = kshot.cli.main(verb.split())
    print(json.dumps([verb, code, sorted({heavy!r} & set(sys.modules))]))
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True
    )
    found = {row[0]: row[1:] for row in map(json.loads, re.findall(r"^\[.*\]$", ended.stdout, re.MULTILINE))}
    assert list(found) == VERBS and all(code in (0, 7) for code, _ in found.values()), ended.stdout + ended.stderr
    assert found["plan"][1] == found["data versions"][1] == [], found
    assert all(set(names) <= {"pandas"} for _, names in found.values()), found


def test_stages_before_the_training_import_no_torch_and_no_service_but_pandas() -> None:
    names = [f"kshot.lifecycle.stages.{stage}" for stage in ("ingest", "split", "validate", "episodes", "embed")]
    heavy = {"torch", "timm", "sklearn", "scipy", *SERVICES} - {"pandas"}  # a check that runs imports its own
    code = f"import sys, {', '.join(names)}; print(sorted({heavy!r} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert ended.stdout.strip() == "[]"


def test_the_flow_of_a_retraining_imports_neither_torch_nor_great_expectations(tmp_path: Path) -> None:
    heavy = {"torch", "timm", "sklearn", "great_expectations", "matplotlib", "prefect.server"}
    code = f"import sys, kshot.flows.retrain; print(sorted({heavy!r} & set(sys.modules)))"
    home = {**os.environ, "PREFECT_HOME": str(tmp_path), "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false"}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=home, capture_output=True, text=True, timeout=120, check=True
    )
    assert ended.stdout.strip() == "[]"
