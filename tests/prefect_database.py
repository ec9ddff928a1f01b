"""Prefect's database with all its tables, made once a session and copied: its migrations take 3 s for each server."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flows.project import environment
from tests.made_once import made_once

FILE = "prefect.db"
MIGRATE = """
import asyncio
from prefect.server.database import provide_database_interface
asyncio.run(provide_database_interface().create_db())
"""


def put(factory: pytest.TempPathFactory, home: Path) -> None:
    """Give the PREFECT_HOME `home` an empty database, as Prefect's server makes it at its first start there."""
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(made_once(factory, "prefect-database", _migrate) / FILE, home / FILE)


def _migrate(folder: Path) -> None:
    names = {**environment(), "PREFECT_HOME": str(folder)}
    subprocess.run([sys.executable, "-c", MIGRATE], env=names, check=True)
