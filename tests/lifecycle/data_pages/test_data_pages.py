"""Pages of data versions: what they show of images from DVC's cache, without and with a model."""

import csv
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from kshot import cli
from kshot.lifecycle.data.changes import add_version
from kshot.lifecycle.data.data_versions import DataVersion
from kshot.lifecycle.data_pages import measured, shown_images
from kshot.lifecycle.data_pages.difference_page import write_difference_page
from kshot.lifecycle.data_pages.shown_images import shown_per_class
from kshot.lifecycle.data_pages.version_page import write_version_page
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages import ingest
from kshot.nets.embedding import Embedding, save_embedding
from kshot.nets.embedding_settings import settings_of
from kshot.params.schema import load_params
from kshot.params.sections.ingest import Ingest
from tests.lifecycle import raw_project
from tests.lifecycle.page_loads import loads
from tests.lifecycle.raw_project import REPOSITORY


class Shown(HTMLParser):
    """The text of a page, by section, and its images' alternative texts."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.page = path.read_text(encoding="utf-8")
        self.sections: dict[str, str] = {"": ""}
        self.images: dict[str, list[str]] = {"": []}
        self.now = ""
        self.feed(self.page)
        self.sections = {name: " ".join(text.split()) for name, text in self.sections.items()}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "section":
            self.now = dict(attrs).get("id") or str(len(self.sections))
            self.sections[self.now], self.images[self.now] = "", []
        if tag == "img":
            self.images[self.now].append(dict(attrs)["alt"] or "")

    def handle_data(self, data: str) -> None:
        self.sections[self.now] += data + " "


def plain(value: int, size: tuple[int, int] = (20, 16)) -> Image.Image:
    """A photograph of one class: its colour with a little noise that follows from `value`."""
    noise = np.random.default_rng(value).integers(0, 60, (size[1], size[0], 3))
    colour = np.array([(150, 20, 20), (20, 20, 150)][value % 2])
    return Image.fromarray((noise + colour).astype(np.uint8))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DataVersion, DataVersion]:
    """Two versions: 8 red and 8 blue images; then one moved, one removed, one changed, one added, one copied."""
    root = raw_project.make(tmp_path_factory.mktemp("pages") / "root")
    source = root.parent / "shop"
    for number in range(16):
        folder = source / ("blue" if number % 2 else "red")
        folder.mkdir(parents=True, exist_ok=True)
        plain(number).save(folder / f"{number}.png")
    (source / "red" / "notes.txt").write_text("no image")
    old = add_version.add(root, str(source), add_version.AddOptions(note="<b>first</b>"))
    (source / "red" / "0.png").rename(source / "blue" / "0.png")
    (source / "red" / "2.png").unlink()
    plain(100, (40, 10)).save(source / "red" / "4.png")
    plain(101).save(source / "blue" / "new & <i>.png")
    shutil.copy(source / "blue" / "1.png", source / "red" / "copy.png")
    return root, old, add_version.add(root, str(source))


@pytest.fixture
def project(made: tuple[Path, DataVersion, DataVersion]) -> Any:
    root, old, new = made
    yield root, old, new
    shutil.rmtree(root / layout.MODEL, ignore_errors=True)


def rows_of(table: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))


def with_model(root: Path) -> None:
    torch.manual_seed(0)
    ingest = {"size": 16, "channels": 3, "invert": False}
    settings = {"backbone": "conv4", "head_dim": None, "l2_normalize": False, "batch_norm": "eval", "ingest": ingest}
    save_embedding(Embedding(settings_of(settings)), root / layout.MODEL)


def test_a_version_without_a_model_shows_classes_sizes_and_copies(project: Any, tmp_path: Path) -> None:
    root, _, new = project
    [path] = write_version_page(root, new, tmp_path / "shown.html")
    shown = Shown(path)
    assert loads(shown.page) == [] and "default-src 'none'" in shown.page
    assert "17 images of 2 classes from shop" in shown.sections[""]
    assert "smallest image 20 x 16" in shown.sections[""] and "largest 40 x 10" in shown.sections[""]
    assert (
        "All 2 classes" in shown.sections["classes"] and "red 7 images, 20 x 16 to 40 x 10" in shown.sections["classes"]
    )
    assert "new & <i>.png" in shown.images["classes"], "the file's name in the source"
    assert "needs a model" in shown.sections["wrong"]
    near = shown.sections["duplicates"]
    assert "small grey copies of the images (16 x 16 pixels), because there is no model yet" in near
    assert "1 pair is" in near and "same file, two classes blue 1.png and red copy.png" in near


def test_copies_of_one_image_are_one_pair_on_the_page(tmp_path: Path) -> None:
    root, source = raw_project.make(tmp_path / "root"), tmp_path / "shop"
    for number, name in enumerate(("red", "blue")):
        (source / name).mkdir(parents=True)
        for image in range(3):
            plain(number + 2 * image).save(source / name / f"{image}.png")
    for copy in range(4):
        shutil.copy(source / "red" / "0.png", source / "red" / f"copy{copy}.png")
    [path] = write_version_page(root, add_version.add(root, str(source)), tmp_path / "shown.html")
    near = Shown(path).sections["duplicates"]
    assert "10 pairs are" in near and "1 of them is shown" in near and near.count("same file") == 1


def test_what_add_left_out_and_the_note_are_shown(project: Any, tmp_path: Path) -> None:
    root, old, _ = project
    [path] = write_version_page(root, old, tmp_path / "shown.html")
    shown = Shown(path)
    assert "1 .txt: no image; red/notes.txt" in shown.sections["left_out"]
    assert "note: <b>first</b>" in shown.sections[""] and "<b>" not in shown.page


def test_a_model_finds_the_image_under_the_wrong_label(project: Any, tmp_path: Path) -> None:
    root, _, new = project
    with_model(root)
    page, table = write_version_page(root, new, tmp_path / "folder")
    shown = Shown(page)
    wrong = shown.sections["wrong"]
    assert "by the embedding of the model in this folder" in wrong
    assert "labelled blue 0.png looks like red" in wrong and "labelled red copy.png looks like blue" in wrong
    rows = {row["path"]: row for row in rows_of(table)}
    assert len(rows) == 17
    agreeing = sum(row["class"] == row["nearest_class"] for row in rows.values())
    assert f"The nearest image of {100 * agreeing / 17:.0f} % of all images is of their own class" in wrong
    assert rows["images/blue/0.png"]["suspected_class"] == "red"
    assert rows["images/red/copy.png"]["nearest"] == "images/blue/1.png"
    assert (rows["images/red/copy.png"]["distance"], rows["images/red/copy.png"]["near_duplicate"]) == ("0", "yes")
    assert (rows["images/red/4.png"]["width"], rows["images/red/4.png"]["height"]) == ("40", "10")
    assert rows["images/red/6.png"]["suspected_class"] == rows["images/red/6.png"]["near_duplicate"] == ""


def test_the_difference_shows_each_kind_of_change(project: Any, tmp_path: Path) -> None:
    root, old, new = project
    page, table = write_difference_page(root, old, new, tmp_path / "difference")
    shown = Shown(page)
    assert loads(shown.page) == []
    for line in ("1 image moved to another class", "2 images added", "1 image removed", "1 image changed"):
        assert line in shown.sections[""]
    moved, added, removed, changed = (text for name, text in shown.sections.items() if name)
    assert "red 0.png blue 0.png" in moved and "red 4.png red 4.png" in changed
    assert "new & <i>.png" in added and "copy.png" in added and "red 2.png" in removed
    rows = sorted(tuple(row.values()) for row in rows_of(table))
    assert ("moved to another class", "images/blue/0.png", "blue", "images/red/0.png", "red") in rows
    assert ("removed", "", "", "images/red/2.png", "red") in rows and len(rows) == 5


def test_equal_versions_have_no_difference(project: Any, tmp_path: Path) -> None:
    root, old, _ = project
    [page] = write_difference_page(root, old, old, tmp_path / "same.html")
    assert "no image was added, removed, changed or moved" in Shown(page).sections[""]


def test_a_page_shows_the_first_images_of_the_first_classes_and_says_so(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, old, _ = project
    monkeypatch.setattr(shown_images, "PAGE_BYTES", 1)
    [path] = write_version_page(root, old, tmp_path / "shown.html")
    shown = Shown(path)
    assert "The first 1 of 2 classes, by name, each with its first 1 image at most" in shown.sections["classes"]
    assert shown.images["classes"] == ["1.png"] and "+ 7" in shown.sections["classes"]


def test_thumbnails_of_classes_are_limited_in_bytes() -> None:
    for classes, size in ((2, 500), (50, 3000), (1600, 500), (100_000, 3000)):
        count, each = shown_per_class(["x" * size] * classes)
        assert 1 <= each <= 12 and 1 <= count <= classes
        assert count * each * size <= shown_images.PAGE_BYTES
    assert shown_per_class(["x" * 3000] * 50) == (50, 12)
    assert shown_per_class(["x" * 500] * 1600) == (1600, 2)


def test_a_version_that_is_gone_from_the_cache_is_a_clear_line(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, old, _ = project
    copy = tmp_path / "copy"
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns("cache"))
    monkeypatch.chdir(copy)
    assert cli.main(["data", "show", old.short]) == 3
    assert "are neither in DVC's cache nor in a remote" in capsys.readouterr().err


def test_the_command_names_what_it_wrote(
    project: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root, old, new = project
    monkeypatch.chdir(root)
    assert cli.main(["data", "show", old.short, new.short]) == 0
    assert capsys.readouterr().out.split() == [f"reports/data-{old.short}-{new.short}.html"]
    assert (root / "reports" / f"data-{old.short}-{new.short}.html").stat().st_size < 200_000


def test_images_that_are_packed_are_not_decoded_again(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, _, new = project
    with_model(root)
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    given = Ingest(size=16, channels=3, invert=False, crop="none")
    ingest.run(copy, replace(load_params(REPOSITORY / "params.yaml"), ingest=given))
    used = {"ingest.size": 16, "ingest.channels": 3, "ingest.invert": False, "ingest.crop": "none"}
    stage = {"deps": [{"path": "data/raw", "md5": f"{new.md5}.dir"}], "params": {"params.yaml": used}}
    (copy / layout.LOCK_FILE).write_text(yaml.safe_dump({"stages": {"ingest": stage}}))
    decoded = measured.measure(root, new)
    monkeypatch.setattr(measured, "pack", None)
    packed = measured.measure(copy, new)
    assert packed.images == decoded.images and (packed.sizes == decoded.sizes).all()
    assert torch.equal(packed.points, decoded.points) and packed.by == decoded.by
    used["ingest.size"] = 32
    (copy / layout.LOCK_FILE).write_text(yaml.safe_dump({"stages": {"ingest": stage}}))
    with pytest.raises(TypeError):  # packed for another model, so the files are decoded
        measured.measure(copy, new)
