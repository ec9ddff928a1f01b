"""Prints how a decision would change the accuracy of the galleries of `kshot serve`, before it is made."""

from pathlib import Path

from kshot.errors import KshotError
from kshot.lifecycle.gate.gallery_evidence import GalleryEvidence
from kshot.serve.actions.compared_galleries import compared_galleries, may_have_galleries


def print_gallery_changes(root: Path, version: str) -> None:
    """Print one line a gallery: its leave-one-out accuracy under the champion and under `version`, with the difference.

    Nothing is printed without galleries, without a champion, and for the champion itself. An error is printed in one
    line: the decision is a person's.
    """
    if not may_have_galleries(root):
        return
    from kshot.lifecycle.registry import model_versions

    champion = model_versions.champion(root)
    after = model_versions.find(root, version).version
    if champion is None or champion.version == after:
        return
    try:
        found = compared_galleries(root, champion.version, after)
    except KshotError as error:
        print(f"! what version {after} means for the galleries is not known: {error}", flush=True)
        return
    for one in found:
        print(line(one, champion.version, after), flush=True)


def line(one: GalleryEvidence, before: str, after: str) -> str:
    """One line about a gallery.

    gallery shop: 25 examples of 5 classes, each classified without itself: version 1 88.0 %, version 2 96.0 %,
    difference +8.0 points [-1.2, +17.1]
    """
    head, change = f"gallery {one.gallery}: ", one.change()
    if change is None:
        return f"{head}not compared: {one.why}"
    mean, low, high = (100 * value for value in change.difference)
    return (
        f"{head}{one.tested:,} examples of {one.classes:,} classes, each classified without itself: "
        f"version {before} {100 * change.old:.1f} %, version {after} {100 * change.new:.1f} %, "
        f"difference {mean:+.1f} points [{low:+.1f}, {high:+.1f}]"
    )
