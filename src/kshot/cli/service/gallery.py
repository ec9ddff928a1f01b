"""`kshot gallery`: creates, teaches and queries the galleries of a running service, through `kshot.Client`."""

import argparse
import json
import shlex
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kshot.cli.service.running_service import add_connection, answered, connected, files_named
from kshot.errors import DataError, ParamsError
from kshot.lifecycle.project.tables import columns, counted

if TYPE_CHECKING:
    from kshot.serve.client import Client

DESCRIPTION = """\
Galleries of the service that `kshot serve` runs: named sets of classes with example images.

  kshot gallery create birds
  kshot gallery teach birds robin robin/*.jpg
  kshot gallery import birds FOLDER_OR_ZIP        one folder a class
  kshot gallery recognise birds garden.jpg

The service is that of this project, or the one at --at or KSHOT_AT; a key is read from KSHOT_KEY.
docs/serve.md
"""


def add_parser(verbs: Any) -> None:
    """Add the verb `gallery` with its own verbs to the command line."""
    top = verbs.add_parser(
        "gallery", help="make, teach and ask the galleries of a running service", description=DESCRIPTION
    )
    below = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def verb(name: str, run: Callable[["Client", argparse.Namespace], int], text: str, *arguments: str) -> Any:
        one = below.add_parser(name, help=text)
        for argument in arguments:
            many = argument.endswith("...")
            one.add_argument(
                argument.removesuffix("...").lower(), metavar=argument.removesuffix("..."), nargs="+" if many else None
            )
        add_connection(one)
        one.set_defaults(run=connected(run), outside=True)
        return one

    verb("list", run_list, "list the galleries and their classes")
    verb("create", run_create, "make an empty gallery", "GALLERY")
    rename = verb("rename", run_rename, "rename a gallery, or a class of it", "GALLERY", "NAME")
    rename.add_argument("--class", dest="of_class", metavar="CLASS", help="rename this class of it instead")
    rename.add_argument("--merge", action="store_true", help="with --class: join it to a class NAME that exists")
    verb("delete", run_delete, "delete a gallery with all its images", "GALLERY").add_argument(
        "--class", dest="of_class", metavar="CLASS", help="delete this class of it instead"
    )
    verb("threshold", run_threshold, "set the distance beyond which an image is unknown", "GALLERY", "DISTANCE")
    verb("teach", run_teach, "add images to a class", "GALLERY", "CLASS", "IMAGE...")
    verb("examples", run_examples, "list the taught images", "GALLERY").add_argument(
        "--class", dest="of_class", metavar="CLASS", help="of this class alone"
    )
    verb("forget", run_forget, "delete taught images by their ids", "GALLERY", "ID...")
    verb("recognise", run_recognise, "say which class each image shows", "GALLERY", "IMAGE...")
    verb("verify", run_verify, "say whether an image shows a class; exit code 1 if not", "GALLERY", "CLASS", "IMAGE")
    verb("suspects", run_suspects, "list taught images that their gallery takes for another class", "GALLERY")
    verb("import", run_import, "take in a folder or zip of class folders, or an export", "GALLERY", "SOURCE")
    verb("export", run_export, "write a gallery to a zip of class folders", "GALLERY", "FILE")


def run_list(client: "Client", options: argparse.Namespace) -> int:
    """Print one line a gallery."""
    found = client.galleries()
    if options.json:
        print(json.dumps([one.model_dump(mode="json", by_alias=True) for one in found], indent=2))
    elif not found:
        print("no gallery yet; make one: kshot gallery create NAME")
    else:
        rows = [
            {
                "gallery": one.name,
                "classes": f"{len(one.classes):,}",
                "images": f"{sum(each.examples for each in one.classes):,}",
                "revision": f"{one.revision:,}",
                "model": one.model_version,
            }
            for one in found
        ]
        print("\n".join(columns(rows)))
    return 0


def run_create(client: "Client", options: argparse.Namespace) -> int:
    """Make a gallery."""
    made = client.create(options.gallery)
    teach = f"kshot gallery teach {shlex.quote(made.name)} CLASS IMAGE ..."
    return answered(options, made, f"gallery {made.name} is made; teach it: {teach}")


def run_rename(client: "Client", options: argparse.Namespace) -> int:
    """Rename a gallery or a class."""
    if options.of_class is not None:
        changed = client.rename_class(options.gallery, options.of_class, options.name, merge=options.merge)
        return answered(options, changed, f"class {options.of_class} of {options.gallery} is {options.name} now")
    return answered(options, client.rename(options.gallery, options.name), f"{options.gallery} is {options.name} now")


def run_delete(client: "Client", options: argparse.Namespace) -> int:
    """Delete a gallery or a class, and print what was deleted."""
    if options.of_class is not None:
        changed = client.delete_class(options.gallery, options.of_class)
        return answered(options, changed, f"class {options.of_class} of {options.gallery} is deleted")
    before = client.gallery(options.gallery)
    client.delete(options.gallery)
    images = sum(one.examples for one in before.classes)
    return answered(
        options,
        before,
        f"gallery {before.name} is deleted: {counted(len(before.classes), 'class')}, {counted(images, 'image')}",
    )


def run_threshold(client: "Client", options: argparse.Namespace) -> int:
    """Set or remove a gallery's own threshold."""
    try:
        distance = None if options.distance == "model" else float(options.distance)
    except ValueError as error:
        raise ParamsError(f"DISTANCE is {options.distance!r}; needs a number, or the word model") from error
    client.set_unknown_threshold(options.gallery, distance)
    own = "the model's own threshold" if distance is None else f"a distance of {distance:g}"
    return answered(options, client.gallery(options.gallery), f"images of {options.gallery} are unknown beyond {own}")


def run_teach(client: "Client", options: argparse.Namespace) -> int:
    """Teach images, and print which were there already."""
    name = vars(options)["class"]
    taught = client.teach(options.gallery, name, files_named(options.image))
    lines = [f"{counted(len(taught.examples), 'image')} taught to {name}"]
    lines += [f"there before: {counted(len(taught.already), 'image')}"] if taught.already else []
    return answered(options, taught, *lines, *(f"note: {note}" for note in taught.notes))


def run_examples(client: "Client", options: argparse.Namespace) -> int:
    """Print one line an example, or one JSON object a line: there may be many."""
    for one in client.examples(options.gallery, options.of_class):
        line = f"{one.id:>8}  {one.class_name}  {one.name}  {one.width} x {one.height}"
        print(one.model_dump_json(by_alias=True) if options.json else line)
    return 0


def run_forget(client: "Client", options: argparse.Namespace) -> int:
    """Delete examples one by one; the first unknown id ends it."""
    for one in options.id:
        if not one.isdecimal():
            raise ParamsError(f"{one!r} is no id of an example; `kshot gallery examples {options.gallery}` lists them")
        answered(options, client.forget(options.gallery, int(one)), f"example {one} is deleted")
    return 0


def run_recognise(client: "Client", options: argparse.Namespace) -> int:
    """Print one line an image: the class or unknown, its probability, the nearest example, the next classes."""
    files = files_named(options.image)
    most = client.service().limits.images
    for start in range(0, len(files), most):
        part = files[start : start + most]
        found = client.recognise(options.gallery, list(part))
        rows = [
            {
                "image": file.name,
                "class": f"unknown (nearest {one.label})" if one.unknown else one.label,
                "probability": "" if one.probability is None or one.unknown else f"{100 * one.probability:.1f} %",
                "nearest example": f"{one.nearest[0].example} of {one.nearest[0].class_name}" if one.nearest else "",
                "next": ", ".join(each.class_name for each in one.next),
            }
            for file, one in zip(part, found.results, strict=True)
        ]
        note = [] if found.calibrated else ["note: the probabilities are not calibrated"]
        answered(options, found, *columns(rows), *note)
    return 0


def run_verify(client: "Client", options: argparse.Namespace) -> int:
    """Print yes or no; the exit code is 1 for no."""
    name = vars(options)["class"]
    found = client.verify(options.gallery, name, *files_named([options.image]))
    score = "" if found.probability is None else f", probability {100 * found.probability:.1f} %"
    far = f"no: unknown, farther than {found.threshold:.3g} from every class" if found.unknown else ""
    line = {
        True: f"yes: {name}{score}",
        False: far or f"no: not {name}{score}; the best class is {found.best}",
        None: f"open: with one class and without a threshold nothing decides whether it is {name}",
    }[found.same]
    answered(options, found, line)
    return int(found.same is False)


def run_suspects(client: "Client", options: argparse.Namespace) -> int:
    """Print one line an example that its gallery without it takes for another class."""
    found = client.suspects(options.gallery)
    lines = [f"{one.example:>8}  {one.class_name}, taken for {one.taken_for}" for one in found.suspects]
    summary = f"{len(lines):,} of {found.tested:,} examples of classes with two or more are taken for another class"
    return answered(options, found, *lines, summary)


def run_import(client: "Client", options: argparse.Namespace) -> int:
    """Import a zip or a folder, and print what was left out, by reason."""
    from kshot.serve.class_folders_zip import zipped

    (source,) = files_named([options.source], folders=True)
    is_folder = source.is_dir()
    found = client.import_zip(options.gallery, zipped(source) if is_folder else source, whole_names=is_folder)
    lines = [f"{counted(found.taken, 'image')} taken, {found.already:,} were there before"]
    lines += [f"left out {counted(one.count, 'file')}: {one.reason}: {', '.join(one.files)}" for one in found.left_out]
    return answered(options, found, *lines, *(f"note: {note}" for note in found.notes))


def run_export(client: "Client", options: argparse.Namespace) -> int:
    """Write a gallery's zip; an existing file is not overwritten."""
    target = Path(options.file)
    if target.exists():
        raise DataError(f"{target} exists; name a new file, or move that one away")
    target.write_bytes(client.export(options.gallery))
    from kshot.serve.messages.gallery_messages import MISSING  # here, as it imports pydantic

    with zipfile.ZipFile(target) as archive:
        lost = archive.read(MISSING).decode().splitlines()[1:] if MISSING in archive.namelist() else []
    notes = [f"{counted(len(lost), 'taught image')} without a file: listed in its {MISSING}; teach them again"]
    lines = (f"{options.gallery} is written to {target}", *(notes if lost else []))
    return answered(options, client.gallery(options.gallery), *lines)
