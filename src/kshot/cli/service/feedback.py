"""`kshot feedback`: lists logged images worth a review, labels them, and makes a data version of the labels."""

import argparse
import getpass
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kshot.cli.service.feedback_labels import check_known, known_classes, parse_labels
from kshot.cli.service.running_service import add_connection, address, connected
from kshot.errors import DataError, ParamsError
from kshot.lifecycle.project import project_lock
from kshot.lifecycle.project.tables import columns, counted

if TYPE_CHECKING:
    from kshot.lifecycle.data.feedback_ledger import FeedbackImage
    from kshot.serve.client import Client
    from kshot.serve.messages.feedback_messages import FeedbackItem

DESCRIPTION = """\
Images of requests that the service logged (`kshot serve --log`): list them by what is worth a
look, say which class each shows, and add them to the data.

  kshot feedback list --order margin --save looked-at/
  kshot feedback groups birds --save groups/     unknown images that look alike
  kshot feedback label 41=robin 42,57,60=wren    --new-class for a class that nothing has yet
  kshot feedback add-data           a new data version: the current one and every labelled image

The page of the service shows and labels them too. docs/serve.md
"""
ORDERS = ("unknown", "margin", "disagreement", "newest")


def add_parser(verbs: Any) -> None:
    """Add the verb `feedback` with its own verbs to the command line."""
    top = verbs.add_parser(
        "feedback", help="review logged requests, label their images, and add them to the data", description=DESCRIPTION
    )
    below = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    listed = below.add_parser("list", help="list logged requests by what is worth a look")
    listed.add_argument("--gallery", metavar="GALLERY", help="of this gallery alone")
    listed.add_argument("--order", choices=ORDERS, default="unknown", help="what comes first (default unknown)")
    listed.add_argument("--most", type=int, default=50, metavar="N", help="list at most N (default 50)")
    listed.add_argument("--save", type=Path, metavar="FOLDER", help="write the images there too, by their item")
    listed.set_defaults(run=connected(run_list), outside=True)

    groups = below.add_parser("groups", help="list unknown images without a label in groups that look alike")
    groups.add_argument("gallery", metavar="GALLERY", help="of the requests")
    groups.add_argument("--save", type=Path, metavar="FOLDER", help="write the images there too, a folder a group")
    groups.set_defaults(run=connected(run_groups), outside=True)

    label = below.add_parser("label", help="say which class logged images show")
    label.add_argument("labels", nargs="*", metavar="ITEMS=CLASS", help="an item or several, and their class")
    label.add_argument("--from", dest="table", type=Path, metavar="FILE", help="a CSV with the columns item,class")
    label.add_argument("--new-class", action="store_true", help="make classes that no gallery and no data has")
    label.add_argument("--by", metavar="NAME", help="who says so (default: your name on this machine)")
    label.set_defaults(run=connected(run_label), outside=True)

    forget = below.add_parser("forget", help="delete logged requests with their images")
    forget.add_argument("item", nargs="+", type=int, metavar="ITEM", help="an item")
    forget.set_defaults(run=connected(run_forget), outside=True)

    add = below.add_parser("add-data", help="make a data version of the current one and the labelled images")
    add.add_argument("--note", default="", metavar="TEXT", help="a remark to find this version by")
    add.add_argument("--skip", action="store_true", help="leave out what cannot be taken")
    add.set_defaults(run=run_add_data)
    for one in (listed, groups, label, forget, add):
        add_connection(one)


def run_list(client: "Client", options: argparse.Namespace) -> int:
    """Print one line a logged image."""
    found = client.feedback(options.gallery, options.order, options.most)
    if options.save is not None:
        options.save.mkdir(parents=True, exist_ok=True)
        for one in found:
            _save(client, one.item, options.save)
    if options.json:
        print(json.dumps([one.model_dump(mode="json", by_alias=True) for one in found], indent=2))
    elif not found:
        log = client.service().log
        print(
            "nothing is logged" + ("; start the service with --log unknown, sample or all" if log == "off" else " yet")
        )
    else:
        print("\n".join(columns([_row(one) for one in found])))
    return 0


def run_groups(client: "Client", options: argparse.Namespace) -> int:
    """Print one line a group, with its items as `label` takes them."""
    groups = client.unknown_groups(options.gallery)
    if options.save is not None:
        for number, items in enumerate(groups, 1):
            folder = options.save / f"{number}"
            folder.mkdir(parents=True, exist_ok=True)
            for item in items:
                _save(client, item, folder)
    if options.json:
        print(json.dumps(groups))
    elif not groups:
        print("no unknown image without a label is logged; `kshot feedback list` shows what is")
    for number, items in enumerate([] if options.json else groups, 1):
        print(f"group {number}, {counted(len(items), 'image')}: {','.join(map(str, items))}")
    return 0


def run_label(client: "Client", options: argparse.Namespace) -> int:
    """Label items: all of them or none."""
    labels = _from_table(options.table) if options.table is not None else {}
    labels |= parse_labels(options.labels)
    if not labels:
        raise ParamsError("no label is given; needs ITEM=CLASS, such as 41=robin, or --from FILE")
    if not options.new_class:
        check_known(labels.values(), known_classes(client, Path.cwd()))
    count = client.label(labels, options.by or getpass.getuser())
    print(json.dumps({"labelled": count}) if options.json else f"{counted(count, 'image')} labelled")
    return 0


def run_forget(client: "Client", options: argparse.Namespace) -> int:
    """Delete items one by one; the first unknown one ends it."""
    for item in options.item:
        client.forget_feedback(item)
        print(json.dumps({"deleted": item}) if options.json else f"item {item} is deleted with its image")
    return 0


def run_add_data(root: Path, options: argparse.Namespace) -> int:
    """Add every labelled image to the current data version, as a new one."""
    from kshot.lifecycle.data.changes import labelled_images
    from kshot.serve.client import Client

    with Client(address(root, options)) as client:
        items = client.feedback(order="newest", labelled=True)
        images = [(_image(one, content), content) for one in items for content in [client.feedback_image(one.item)]]
    if not images:
        raise DataError("no logged image has a label; give some: kshot feedback label ITEM=CLASS, or on the page")
    with project_lock.hold(root, "kshot feedback add-data"):
        version = labelled_images.add_labelled(
            root, images, note=options.note, skip=options.skip, say=lambda line: print(line, flush=True)
        )
    if version is None:
        print("the current data version has every labelled image already; nothing changed")
    else:
        print(f"data version {version.short}: {version.images:,} images, {version.classes:,} classes")
        print("data/feedback.jsonl says who labelled what; commit it with data/raw.dvc and data/versions.jsonl")
    return 0


def _save(client: "Client", item: int, folder: Path) -> None:
    """Write the image of an item as ITEM.png, or with the suffix of its kind, so that a viewer opens it."""
    from kshot.data.image_formats import suffix_of

    content = client.feedback_image(item)
    (folder / f"{item}{suffix_of(content)}").write_bytes(content)


def _row(one: "FeedbackItem") -> dict[str, str]:
    return {
        "item": str(one.item),
        "requested": f"{one.requested:%Y-%m-%d %H:%M}",
        "gallery": one.gallery,
        "prediction": f"unknown (nearest {one.label})" if one.unknown else one.label,
        "probability": "" if one.probability is None or one.unknown else f"{100 * one.probability:.1f} %",
        "shadow": one.challenger or "",
        "label": f"{one.given} by {one.by}" if one.given else "",
    }


def _image(one: "FeedbackItem", content: bytes) -> "FeedbackImage":
    from kshot.lifecycle.data.feedback_ledger import FeedbackImage

    return FeedbackImage(
        md5=hashlib.md5(content).hexdigest(),
        class_name=one.given or "",
        by=one.by or "",
        at=one.at.isoformat() if one.at else "",
        item=one.item,
        request=one.request,
        gallery=one.gallery,
        asked=one.requested.isoformat(),
        model_version=one.model_version,
        predicted=one.label,
        unknown=one.unknown,
    )


def _from_table(path: Path) -> dict[int, str]:
    """The labels of a table with the columns item,class, read as `kshot data add` reads one. Raises DataError."""
    from kshot.lifecycle.source_files.tables import read_rows

    if not path.is_file():
        raise DataError(f"{path} is no file; needs a CSV with the columns item,class")
    labels = {}
    for number, row in read_rows(path, ("item", "class")):
        if not row["item"].isdecimal() or not row["class"]:
            raise DataError(f"{path}, row {number} has no item or no class; needs both, or delete the row")
        labels[int(row["item"])] = row["class"]
    return labels
