"""A data version without some images: the others stay the files that they are."""

from pathlib import Path

from kshot.lifecycle.data.changes import add_version, restore
from kshot.lifecycle.data.changes.without_images import without_images
from kshot.lifecycle.project.files import file_md5
from tests.lifecycle.raw_project import make, write_tree


def test_no_file_that_stays_is_written_again(tmp_path: Path) -> None:
    root = make(tmp_path / "root")
    before = add_version.add(root, str(write_tree(tmp_path / "birds", {"robin": 3, "wren": 3})))
    files = {path: path.stat() for path in sorted((root / "data/raw/images").rglob("*.png"))}
    gone = next(iter(files))
    made = without_images(root, [file_md5(gone)])
    assert made is not None and (made.images, made.source) == (5, before.source)
    assert not gone.exists()
    for path, stat in list(files.items())[1:]:
        assert (path.stat().st_ino, path.stat().st_mtime_ns) == (stat.st_ino, stat.st_mtime_ns)
    restore.refuse_unsaved(root)
