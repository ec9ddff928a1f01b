from pathlib import Path

import pytest

from kshot.cli.versions.gallery_changes import line, print_gallery_changes
from kshot.lifecycle.gate.gallery_evidence import GalleryEvidence
from kshot.serve.actions.compared_galleries import compared_galleries
from kshot.serve.engine.gallery_change import gallery_changes
from kshot.serve.settings import ServeSettings
from tests.serve.engine.test_recognition import Classes
from tests.serve.running import running, teach

SETTINGS = ServeSettings(device="cpu")


@pytest.fixture
def taught(project: Path, classes: Classes) -> Path:
    """Three letters of four images and one of one image in gallery letters; gallery single has one class."""
    names = sorted(classes)
    with running(project) as client:
        for gallery in ("letters", "single"):
            client.post("/v1/galleries", json={"name": gallery})
        for name in names[:3]:
            teach(client, "letters", name, classes[name][:4])
        teach(client, "letters", names[3], classes[names[3]][:1])
        teach(client, "single", names[0], classes[names[0]][:2])
    return project


def test_both_versions_are_asked_each_example_without_it(taught: Path) -> None:
    letters, single = compared_galleries(taught, "1", "2")
    assert (letters.gallery, letters.classes, letters.tested, letters.revision) == ("letters", 4, 12, 5)
    change = letters.change()
    assert change is not None and change.episodes == 3
    assert [sum(right[place] * right[3] for right in letters.counts) / 12 for place in (1, 2)] == [
        change.old,
        change.new,
    ]
    assert (single.gallery, single.counts, single.why) == (
        "single",
        (),
        "it has one class, so that nothing can be confused",
    )


def test_one_class_alone_gives_no_interval(project: Path, classes: Classes) -> None:
    (one, first), (two, second), *_ = sorted(classes.items())
    with running(project) as client:
        client.post("/v1/galleries", json={"name": "pair"})
        teach(client, "pair", one, first[:3])
        teach(client, "pair", two, second[:1])
    (found,) = gallery_changes(project, SETTINGS, "1", "2")
    assert found.change() is None and found.why.startswith("only one class has two examples")


def test_a_version_against_itself_differs_by_nothing(taught: Path) -> None:
    letters, _ = gallery_changes(taught, SETTINGS, "1", "1")
    change = letters.change()
    assert change is not None and change.difference.mean == 0 and change.old == change.new


def test_promote_says_beforehand_what_it_means(taught: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_gallery_changes(taught, "2")
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("gallery letters: 12 examples of 4 classes, each classified without itself: version 1 ")
    assert second == "gallery single: not compared: it has one class, so that nothing can be confused"
    print_gallery_changes(taught, "1")
    assert capsys.readouterr().out == "", "the champion changes nothing"


def test_without_galleries_nothing_is_said(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_gallery_changes(project, "2")
    assert capsys.readouterr().out == ""


def test_the_line_gives_points_with_their_interval() -> None:
    found = GalleryEvidence("shop", 5, ((5, 4, 5, 3), (5, 5, 5, 2)))
    change = found.change()
    assert change is not None
    low, high = (100 * end for end in change.difference[1:])
    assert line(found, "1", "2") == (
        "gallery shop: 25 examples of 5 classes, each classified without itself: version 1 88.0 %, version 2 100.0 %, "
        f"difference +12.0 points [{low:+.1f}, {high:+.1f}]"
    )
