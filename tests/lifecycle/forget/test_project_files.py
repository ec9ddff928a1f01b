"""Copies of forgotten images among a project's files."""

import hashlib
from pathlib import Path

from kshot.lifecycle.forget.holding import Forgotten, ForgottenImage
from kshot.lifecycle.forget.project_files import COPY, ProjectFiles
from tests.lifecycle.raw_project import make


def test_a_copy_is_found_by_its_md5_alone_beside_images_whose_size_is_known(tmp_path: Path) -> None:
    root = make(tmp_path / "root")
    known, lost = b"an image that the cache has", b"one that nothing here can read any more"
    for name, content in (("a.png", known), ("b.png", lost)):
        (root / name).write_bytes(content)
    images = (
        ForgottenImage(hashlib.md5(known).hexdigest(), hashlib.sha256(known).hexdigest(), len(known), ()),
        ForgottenImage(hashlib.md5(lost).hexdigest(), "", 0, ()),
    )
    found = ProjectFiles(root, ()).find(Forgotten(images, frozenset(), frozenset()))
    assert {one.at for one in found if one.what == COPY} == {"a.png", "b.png"}
