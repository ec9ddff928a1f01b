"""Sources as people really have them (../shared/cases/sources.py): each is taken or refused as its case says."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kshot.errors import DataError
from kshot.lifecycle.data.changes import add_version
from kshot.lifecycle.data.data_versions import DataVersion
from kshot.lifecycle.project import layout
from tests.lifecycle.raw_project import files_below, make

SHARED = Path(__file__).parents[4] / "shared/cases/sources.py"
pytestmark = pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/cases")


@dataclass
class Outcome:
    """What came of a case: the version or the refusal, and the lines that were printed."""

    version: DataVersion | None = None
    refusal: str = ""
    lines: list[str] = field(default_factory=list)
    table: str = ""

    def taken(self, images: int, classes: int, *told: str) -> bool:
        """Whether that many were taken, and each text of `told` was printed."""
        printed = " ".join(" ".join(self.lines).split())
        return (
            self.version is not None
            and (self.version.images, self.version.classes) == (images, classes)
            and all(text in printed for text in told)
        )

    def refused(self, *told: str) -> bool:
        """Whether it was refused in one line that has each text of `told`."""
        return self.version is None and "\n" not in self.refusal and all(text in self.refusal for text in told)


RIGHT: dict[str, Callable[[Outcome], bool]] = {
    "class folders that are symbolic links": lambda found: found.taken(72, 12),
    "endings .jfif .jpe .avif .HEIC": lambda found: (
        found.refused("class phone comes out empty", "--skip")
        and "  6 .HEIC: HEIC, which cannot be opened here: convert it to JPEG" in found.lines
    ),
    "endings .jfif .jpe .avif .HEIC, agreed to": lambda found: found.taken(60, 10, "left out 6 of 66 files"),
    "train/ val/ test/ with disjoint classes": lambda found: (
        found.taken(72, 12, "their split is kept (8 train, 2 val, 2 test)")
        and "images/class11/05.png,class11,,test" in found.table
    ),
    "train/ test/ with the same classes": lambda found: found.taken(108, 12, "few-shot splits are by class"),
    "a zip whose files lie in one wrapping folder": lambda found: found.taken(72, 12, "the folder birds/"),
    "parquet with a nullable and a categorical column": lambda found: (
        found.taken(72, 12) and "images/class00/00.png,class00,,\nimages/class00/01.png,class00,a," in found.table
    ),
    "a manifest with a blank after each comma": lambda found: found.taken(72, 12),
    "a manifest with one row without a class": lambda found: found.refused("row 9", "class01/01.png", "no class"),
    "TIFF in float from 0 to 1": lambda found: found.taken(24, 4, "24 images of floats, each scaled by its own range"),
    "a source in which nothing decodes": lambda found: found.refused("none holds no image", "1 .png: no image"),
    "one truncated file of 73": lambda found: found.taken(72, 12, "left out 1 of 73 files", "class00/99.png"),
    "a NAS's @eaDir thumbnails beside the images": lambda found: found.taken(
        72, 12, "left out 12 of 84 files", "thumbnails or snapshots of a NAS"
    ),
    "an empty argument": lambda found: found.refused("no source is given, only empty text"),
}
SAME = (  # cases whose images are those of the first
    "a zip whose files lie in one wrapping folder",
    "a manifest with a blank after each comma",
    "one truncated file of 73",
    "a NAS's @eaDir thumbnails beside the images",
)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """What comes of every case, added to one project one after the other."""
    spec = importlib.util.spec_from_file_location("awkward_sources", SHARED)
    assert spec is not None and spec.loader is not None
    sources = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sources)
    folder = tmp_path_factory.mktemp("cases")
    root = make(folder / "project")
    found = {}
    for name, path, _ in sources.cases(folder):
        found[name] = _added(root, "" if name == "an empty argument" else str(path))
        if "phone" in found[name].refusal:
            found[f"{name}, agreed to"] = _added(root, str(path), skip=True)
    return found


def _added(root: Path, source: str, *, skip: bool = False) -> Outcome:
    """What comes of one source; a refused one leaves the data as it was."""
    outcome, before = Outcome(), files_below(root / "data")
    try:
        outcome.version = add_version.add(root, source, add_version.AddOptions(skip=skip), say=outcome.lines.append)
        outcome.table = (root / layout.RAW / "manifest.csv").read_text(encoding="utf-8")
    except DataError as error:
        outcome.refusal = str(error)
        assert files_below(root / "data") == before
    return outcome


def test_every_case_is_looked_at(outcomes: dict[str, Outcome]) -> None:
    assert list(outcomes) == list(RIGHT)


@pytest.mark.parametrize("name", RIGHT)
def test_it_is_taken_or_refused_as_its_case_says(outcomes: dict[str, Outcome], name: str) -> None:
    assert RIGHT[name](outcomes[name]), outcomes[name]


@pytest.mark.parametrize("name", SAME)
def test_the_same_images_are_the_same_version(outcomes: dict[str, Outcome], name: str) -> None:
    first = outcomes["class folders that are symbolic links"].version
    assert first is not None and outcomes[name].version == first
