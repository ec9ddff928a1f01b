"""Incompatible packages, planted as the metadata that their wheels would install."""

from pathlib import Path

import pytest

from kshot.lifecycle.doctor import versions


def plant(folder: Path, name: str, version: str, *requires: str) -> None:
    """Install the metadata of a release, ahead of what is installed."""
    place = folder / f"{name}-{version}.dist-info"
    place.mkdir(parents=True)
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {one}" for one in requires)]
    (place / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines, ""]))


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_the_locked_versions_go_together() -> None:
    assert versions.findings() == []


@pytest.mark.parametrize(
    ("name", "version", "told"),
    [
        ("fastapi", "0.155.0", "fastapi 0.155.0 is installed, with which Prefect's server does not start; "
         "needs fastapi<0.151; mend: make install"),
        ("sqlalchemy", "2.1.0", "sqlalchemy 2.1.0 is installed, with which Prefect's scheduler fails on every tick and "
         "no schedule ever fires; needs sqlalchemy<2.1,>=2.0; mend: make install"),
        ("pandas", "2.3.0", "pandas 2.3.0 is installed, with which nothing was tried with it; needs pandas>=3.0"),
    ],
)  # fmt: skip
def test_a_version_outside_its_bounds_is_told(planted: Path, name: str, version: str, told: str) -> None:
    plant(planted, name, version)
    (finding,) = versions.findings()
    assert str(finding).startswith(told) and finding.must


def test_a_cpu_torch_beside_the_registrys_torchvision_is_told(planted: Path) -> None:
    plant(planted, "torch", "2.15.0+cpu")
    plant(planted, "torchvision", "0.29.2", "torch==2.15.0")
    (finding,) = versions.findings()
    assert "torchvision 0.29.2 is not built against torch 2.15.0+cpu" in str(finding)
    assert "needs both from the same index" in str(finding)


def test_a_torchvision_of_another_torch_is_told(planted: Path) -> None:
    plant(planted, "torch", "2.15.0")
    plant(planted, "torchvision", "0.28.0", "torch==2.14.0")
    (finding,) = versions.findings()
    assert "needs torch==2.14.0 beside it" in str(finding)


def test_a_pair_of_one_build_is_well(planted: Path) -> None:
    plant(planted, "torch", "2.15.0+cpu")
    plant(planted, "torchvision", "0.29.2+cpu", "torch==2.15.0")
    assert versions.findings() == []


def test_a_package_that_is_missing_is_told(planted: Path) -> None:
    extra = 'not-here>=1; extra == "pipeline"'
    plant(planted, "kshot", "0.1.0", extra, 'never-asked-for>=1; extra == "dev"')
    (finding,) = versions.findings()
    assert str(finding).startswith("not-here is not installed; needs not-here>=1")
