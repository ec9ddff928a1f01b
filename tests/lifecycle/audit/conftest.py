"""One project with a registered champion for all tests of the audit; each test undoes its changes."""

from pathlib import Path

import pytest

from tests.lifecycle import audited_project


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return audited_project.copy(tmp_path_factory, tmp_path_factory.mktemp("audited"))
