"""Finds incompatible installed packages from their metadata, without importing them."""

import importlib.metadata
from collections.abc import Iterator
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.version import Version

import kshot
from kshot.lifecycle.doctor.finding import Finding

CHECK = "versions"
EXTRAS = ("", "pipeline")
# Known effects of a package outside its bounds; for the others it is only known that nobody tried it.
WHY = {
    "fastapi": "Prefect's server does not start",
    "sqlalchemy": "Prefect's scheduler fails on every tick and no schedule ever fires",
    "torchvision": "it cannot be imported, and timm with it",
}
LOCKED = "make install brings the versions of requirements.lock back"  # in a clone of kshot
MEND = "pip install --upgrade 'kshot[pipeline]' brings versions that it was tested with"


def findings() -> list[Finding]:
    """Find packages that are missing, outside the bounds of kshot's requirements, or built against another torch."""
    return [*bounds(), *torch_pair()]


def bounds() -> Iterator[Finding]:
    """Each requirement of kshot that the installed packages do not fulfil."""
    mend = remedy()
    for line in importlib.metadata.requires("kshot") or []:
        wanted = Requirement(line)
        if wanted.marker and not any(wanted.marker.evaluate({**_here(), "extra": extra}) for extra in EXTRAS):
            continue
        found = installed(wanted.name)
        if found is None:
            yield Finding(CHECK, f"{wanted.name} is not installed", str(wanted).split(";")[0], mend)
        elif not wanted.specifier.contains(found, prereleases=True):
            why = WHY.get(wanted.name, "nothing was tried with it")
            yield Finding(
                CHECK, f"{wanted.name} {found} is installed, with which {why}", f"{wanted.name}{wanted.specifier}", mend
            )


def torch_pair() -> Iterator[Finding]:
    """torchvision is built against one torch: the same release, and the same build of it (CPU or CUDA)."""
    torch, torchvision = installed("torch"), installed("torchvision")
    if torch is None or torchvision is None:
        return
    for line in importlib.metadata.requires("torchvision") or []:
        wanted = Requirement(line)
        if wanted.name == "torch" and not wanted.specifier.contains(Version(torch).public, prereleases=True):
            yield _mismatch(torch, torchvision, f"torch{wanted.specifier} beside it")
            return
    builds = [Version(found).local or "" for found in (torch, torchvision)]
    if builds[0] != builds[1]:
        yield _mismatch(torch, torchvision, "both from the same index")


def installed(name: str) -> str | None:
    """The version of an installed package, None if it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _mismatch(torch: str, torchvision: str, need: str) -> Finding:
    found = f"torchvision {torchvision} is not built against torch {torch}: {WHY['torchvision']}"
    return Finding(CHECK, found, need, remedy())


def remedy() -> str:
    """How to bring the versions back: from the lock of a clone of kshot, else by installing kshot again."""
    return LOCKED if (Path(kshot.__file__).parents[2] / "requirements.lock").exists() else MEND


def _here() -> dict[str, str]:
    return {name: str(value) for name, value in default_environment().items()}
