"""What `make install` leaves behind for every command after it."""

import importlib.util
from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["prefect", "mlflow", "great_expectations", "dvc", "pandas", "torch"])
def test_a_package_is_compiled_so_that_no_command_compiles_it_again(name: str) -> None:
    found = importlib.util.find_spec(name)
    assert found is not None and found.origin is not None
    folder = Path(found.origin).parent
    # Below the top, too: importing the package here writes its own __init__ where Python writes bytecode.
    sources = [path for path in folder.glob("*/*.py") if path.stat().st_size]
    lacking = [path for path in sources if not Path(importlib.util.cache_from_source(str(path))).is_file()]
    assert sources and not lacking, f"{len(lacking)} of {len(sources)} are not; `rm .venv/installed && make install`"
