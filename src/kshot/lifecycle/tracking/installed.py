"""The kshot that is imported here: which version it is, and whether its files are those of an installed wheel."""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import kshot

NAME = "kshot"
WHEEL, EDITED, SOURCE = "wheel", "edited wheel", "source"
VERSION_TAG, INSTALLED_TAG = "kshot.version", "kshot.installed"


@dataclass(frozen=True)
class Package:
    """The version of the distribution, and how it is installed.

    installed  WHEEL: the files that the stages read are those of its RECORD; EDITED: some were changed since; SOURCE:
               a clone, by an editable install or PYTHONPATH; '' where nobody recorded it
    """

    version: str
    installed: str

    def tags(self) -> dict[str, str]:
        """As the tags of a run and of a registered version."""
        found = {VERSION_TAG: self.version, INSTALLED_TAG: self.installed}
        return {name: value for name, value in found.items() if value}


UNKNOWN = Package("", "")


def package(names: Iterable[str]) -> Package:
    """The kshot that is imported here; `names` are the files that count, such as "kshot/errors.py"."""
    try:
        found = metadata.distribution(NAME)
    except metadata.PackageNotFoundError:
        return Package("", SOURCE)
    recorded = {file.as_posix(): file for file in found.files or ()}
    first = recorded.get(f"{NAME}/__init__.py")
    if first is None or Path(str(first.locate())).resolve() != Path(kshot.__file__).resolve():
        return Package(found.version, SOURCE)
    ours = [name for name in names if name.startswith(f"{NAME}/")]
    whole = all(name in recorded and _is_as_recorded(recorded[name]) for name in ours)
    return Package(found.version, WHEEL if whole else EDITED)


def _is_as_recorded(file: metadata.PackagePath) -> bool:
    path = Path(str(file.locate()))
    if file.hash is None or not path.is_file():
        return False
    digest = hashlib.new(file.hash.mode, path.read_bytes()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == file.hash.value
