"""A project that DVC works in, and small sources of pictures to bring into it."""

import io
import shutil
import subprocess
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

REPOSITORY = Path(__file__).parents[2]


def make(root: Path) -> Path:
    """A git repository with this project's settings and no data."""
    (root / ".dvc").mkdir(parents=True)
    shutil.copy(REPOSITORY / ".dvc" / "config", root / ".dvc")
    for name in ("dvc.yaml", "params.yaml", ".gitignore", ".dvcignore"):
        shutil.copy(REPOSITORY / name, root)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return root


def picture(name: str, height: int = 12, width: int = 10) -> bytes:
    """A PNG whose pixels follow from `name`."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    buffer = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (height, width), dtype=np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


def write_tree(folder: Path, classes: Mapping[str, int]) -> Path:
    """As many pictures a class as asked: folder/<class>/0.png, ..."""
    for name, count in classes.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            (folder / name / f"{number}.png").write_bytes(picture(f"{name}/{number}"))
    return folder


def write_zip(file: Path, members: Mapping[str, bytes]) -> Path:
    """A compressed .zip of these members."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return file


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` with its content."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
