"""The engine: a line of params.yaml, a variable before it, and no part of what a stage depends on."""

from pathlib import Path

import pytest
import yaml

from kshot.errors import ParamsError
from kshot.params.engine import engine_here
from kshot.params.schema import params_from

ROOT = Path(__file__).parents[2]
DEFAULTS = yaml.safe_load((ROOT / "params.yaml").read_text())


def test_an_older_project_without_the_line_is_local() -> None:
    assert params_from({key: value for key, value in DEFAULTS.items() if key != "engine"}).engine == "local"
    assert params_from({**DEFAULTS, "engine": "ray"}).engine == "ray"
    with pytest.raises(ParamsError, match="engine is 'slurm'.*local"):
        params_from({**DEFAULTS, "engine": "slurm"})


def test_the_variable_goes_before_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KSHOT_ENGINE", raising=False)
    assert [engine_here("local"), engine_here("ray")] == ["local", "ray"]
    monkeypatch.setenv("KSHOT_ENGINE", "local")
    assert engine_here("ray") == "local"
    monkeypatch.setenv("KSHOT_ENGINE", "Ray")
    with pytest.raises(ParamsError, match="KSHOT_ENGINE is 'Ray'; needs one of local, ray"):
        engine_here("ray")


def test_no_stage_depends_on_it() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert not any("engine" in stage["params"] for stage in stages.values())
