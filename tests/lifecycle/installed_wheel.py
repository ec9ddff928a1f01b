"""A kshot of a few files as a wheel's installer leaves it, for tests that read an installation."""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest

import kshot


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, version: str, files: Mapping[str, str]) -> Path:
    """The folder like site-packages; for the test it is where `kshot` is imported from."""
    place = folder / f"site-packages-{version}"
    rows = []
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(text)}\n")
    info = place / f"kshot-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: kshot\nVersion: {version}\n", encoding="utf-8")
    (info / "RECORD").write_text("".join(rows) + f"{info.name}/METADATA,,\n{info.name}/RECORD,,\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.setattr(kshot, "__file__", str(place / "kshot/__init__.py"))
    return place
