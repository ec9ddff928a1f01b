"""The installed kshot and plug-ins: their versions, and whether their files are those of a wheel."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import kshot
from kshot.lifecycle.tracking import plugin_code

NAME = "kshot"
WHEEL, EDITED, SOURCE = "wheel", "edited wheel", "source"
VERSION_TAG, INSTALLED_TAG = "kshot.version", "kshot.installed"
PLUGINS_TAG = "kshot.plugins"  # JSON: distribution to [version, installed]


@dataclass(frozen=True)
class Package:
    """The version of the distribution, and how it is installed.

    installed  WHEEL: the files that the stages read match its RECORD; EDITED: some were changed since; SOURCE: a clone,
               through an editable install or PYTHONPATH; '' if nobody recorded it
    """

    version: str
    installed: str

    def tags(self) -> dict[str, str]:
        """The tags of a run and of a registered version."""
        found = {VERSION_TAG: self.version, INSTALLED_TAG: self.installed}
        return {name: value for name, value in found.items() if value}


UNKNOWN = Package("", "")


def package(names: Iterable[str]) -> Package:
    """The kshot that is imported here; `names` are the files that matter, such as "kshot/errors.py"."""
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


def plugins(names: Iterable[str]) -> dict[str, Package]:
    """The installed package of each distribution whose files a stage read; `names` as in fingerprints."""
    found: dict[str, list[str]] = {}
    for name in names:
        if distribution := plugin_code.distribution_of(name):
            found.setdefault(distribution, []).append(name.removeprefix(f"{distribution}{plugin_code.BETWEEN}"))
    return {distribution: _plugin(distribution, files) for distribution, files in sorted(found.items())}


def _plugin(distribution: str, names: list[str]) -> Package:
    try:
        found = metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return UNKNOWN
    recorded = {file.as_posix(): file for file in found.files or ()}
    if not any(name in recorded for name in names):
        return Package(found.version, SOURCE)
    whole = all(name in recorded and _is_as_recorded(recorded[name]) for name in names)
    return Package(found.version, WHEEL if whole else EDITED)


def plugin_tags(found: Mapping[str, Package]) -> dict[str, str]:
    """`plugins` as a tag of a run and of a registered version; empty if there are none."""
    values = {name: [package.version, package.installed] for name, package in found.items()}
    return {PLUGINS_TAG: json.dumps(values, sort_keys=True)} if values else {}


def plugins_of(tags: Mapping[str, str]) -> dict[str, Package]:
    """The inverse of `plugin_tags`."""
    return {name: Package(*values) for name, values in json.loads(tags.get(PLUGINS_TAG, "{}")).items()}


def _is_as_recorded(file: metadata.PackagePath) -> bool:
    path = Path(str(file.locate()))
    if file.hash is None or not path.is_file():
        return False
    digest = hashlib.new(file.hash.mode, path.read_bytes()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == file.hash.value
