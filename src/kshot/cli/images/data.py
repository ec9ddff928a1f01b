"""`kshot data`: add images, and list, name, compare and restore data versions."""

import argparse
from pathlib import Path
from typing import Any

from kshot.lifecycle.project import project_lock

ADD = """\
Bring images in as a new data version. SOURCE is
  a folder             one folder a class; two levels (alphabet/character) give each class a group
  a .zip or .tar       the same, packed
  a .csv or .parquet   a manifest with the columns path, class[, group, split], or such as image_id, label
  a .parquet           with the images themselves, as of Hugging Face; or a folder of them
  glyphs               the built-in set: letters of many scripts, drawn from fonts

Every file is looked at, whatever its name; what is left out is printed with the reason. Where that
is more than a tenth of the files, or a whole class, nothing is added unless --skip agrees to it.

A source replaces the data whole. With --extend its images come to those that are there: a class
of the same name gets more images, images that are there already are left out and counted.

The images are copied to data/raw and tracked by DVC. The version's name is the start of the
content's md5, so that the same images always bear the same name.
"""

SHOW = """\
Draw a data version as one page of thumbnails, from DVC's cache or remote; data/raw stays as it is.

  kshot data show 4cfbd930                 its classes, image sizes, near-duplicates, likely wrong labels
  kshot data show 4cfbd930 8d1e02aa        images that were added, removed, changed or moved to another class
  kshot data show 4cfbd930 --out shown     the page and a table of every image in the folder shown

Near-duplicates and likely wrong labels are found by the embedding of the model in this folder, else of
the champion; without a model, small grey copies of the images are compared, and labels are not checked.
Without --out the page is reports/data-VERSION.html.
"""


def add_parser(verbs: Any) -> None:
    """Add the verb `data` with its own verbs to the command line."""
    top = verbs.add_parser("data", help="bring images in; list, name, compare and restore the data versions")
    below = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    add = below.add_parser("add", help="bring images in as a new data version", description=ADD)
    add.add_argument("source", metavar="SOURCE", help="folder, archive, manifest, or the word glyphs")
    add.add_argument("--split", type=Path, metavar="FILE", help="a CSV with the columns class,split (train, val, test)")
    add.add_argument("--skip", action="store_true", help="leave out what cannot be taken, also whole classes")
    add.add_argument("--merge", action="store_true", help="put a class's images of train/ and test/ folders together")
    add.add_argument("--extend", action="store_true", help="keep the images of the current version, and add these")
    add.add_argument("--note", default="", metavar="TEXT", help="a remark to find this version by")
    add.set_defaults(run=run_add)

    versions = below.add_parser("versions", help="list the data versions, newest last")
    versions.set_defaults(run=run_versions)

    show = below.add_parser(
        "show", help="draw a data version, or what changed between two, as a page of thumbnails", description=SHOW
    )
    show.add_argument("version", metavar="VERSION", help="a data version, its first characters, or a name of it")
    show.add_argument(
        "other", metavar="NEWER", nargs="?", help="a second version: show what changed from the first to it"
    )
    show.add_argument("--out", type=Path, metavar="FILE", help="the page, or a folder for the page and a table as CSV")
    show.set_defaults(run=run_show)

    diff = below.add_parser("diff", help="say which classes and images came, went or changed between two versions")
    diff.add_argument("old", metavar="A", help="a data version, or its first characters")
    diff.add_argument("new", metavar="B", help="the version to compare it with")
    diff.set_defaults(run=run_diff)

    tag = below.add_parser(
        "tag", help="give a data version a name", description="Give a data version a name, to be used for it anywhere."
    )
    tag.add_argument("version", metavar="VERSION", help="a data version, its first characters, or a name of it")
    tag.add_argument("name", metavar="NAME", help="such as season-1: letters, digits, '.', '-' and '_'")
    tag.add_argument("--move", action="store_true", help="take the name from the version that has it")
    tag.set_defaults(run=run_tag)

    untag = below.add_parser("untag", help="take a name away; the data version stays")
    untag.add_argument("name", metavar="NAME", help="the name")
    untag.set_defaults(run=run_untag)

    restore = below.add_parser(
        "restore",
        help="make data/raw what it was in a data version",
        description="Make data/raw what it was in a data version, from DVC's cache or remote. What is there now "
        "stays a data version; where it holds changes that are in none, nothing is done.",
    )
    restore.add_argument("version", metavar="VERSION", help="a data version, its first characters, or a name of it")
    restore.set_defaults(run=run_restore)


def run_add(root: Path, options: argparse.Namespace) -> int:
    """Add a source and print the resulting version."""
    from kshot.lifecycle.data import data_versions
    from kshot.lifecycle.data.changes.add_version import AddOptions
    from kshot.lifecycle.pipeline import added_data
    from kshot.lifecycle.settings_fit import proposal
    from kshot.lifecycle.sources.source_argument import GLYPHS

    with project_lock.hold(root, "kshot data add"):
        before = data_versions.current(root)
        version = added_data.add(
            root,
            options.source,
            AddOptions(
                split=options.split,
                note=options.note,
                skip=options.skip,
                merge=options.merge,
                extend=options.extend,
            ),
            say=lambda line: print(line, flush=True),
        )
    if version.source != GLYPHS and proposal.is_template(root):
        print("the settings are those for the built-in letters; for settings that fit these images: kshot fit-settings")
    elif before is not None and before.md5 != version.md5 and proposal.is_auto(root):
        print("protocols and queries follow the classes; what else would fit these images: kshot fit-settings")
    return 0


def run_versions(root: Path, options: argparse.Namespace) -> int:
    """Print one line a data version; a star marks the one in data/raw."""
    from kshot.lifecycle.data import data_names, data_versions
    from kshot.lifecycle.project.tables import columns
    from kshot.lifecycle.source_files.shown_names import printable

    known = data_versions.versions(root)
    if not known:
        print("no data version yet; `kshot data add SOURCE` makes one, and `kshot retrain` adds the built-in set")
        return 0
    here = data_versions.current(root)
    rows = [
        {
            "": "*" if here is not None and here.md5 == version.md5 else "",
            "version": version.short,
            "added": str(version.added)[:16].replace("T", " "),
            "images": f"{version.images:,}",
            "classes": f"{version.classes:,}",
            "names, note": ", ".join([*data_names.of(root, version.md5), version.note or printable(version.source)]),
        }
        for version in known
    ]
    print("\n".join(columns(rows)))
    return 0


def run_show(root: Path, options: argparse.Namespace) -> int:
    """Write the page of a version, or of the difference of two, and print where it is."""
    from kshot.lifecycle.data import data_versions
    from kshot.lifecycle.data_pages.difference_page import write_difference_page
    from kshot.lifecycle.data_pages.version_page import write_version_page
    from kshot.lifecycle.project import layout, progress
    from kshot.nets.memory import keep_freed_memory

    keep_freed_memory()
    version = data_versions.find(root, options.version)
    if options.other is None:
        out = options.out or root / layout.REPORT.with_name(f"data-{version.short}.html")
        written = write_version_page(root, version, out)
    else:
        newer = data_versions.find(root, options.other)
        out = options.out or root / layout.REPORT.with_name(f"data-{version.short}-{newer.short}.html")
        written = write_difference_page(root, version, newer, out)
    progress.clear()
    for path in written:
        print(path.relative_to(root) if path.is_relative_to(root) else path)
    return 0


def run_diff(root: Path, options: argparse.Namespace) -> int:
    """Print the images added, removed and changed from version A to version B."""
    from kshot.lifecycle.data import data_versions

    old, new = data_versions.find(root, options.old), data_versions.find(root, options.new)
    print(data_versions.diff(root, old, new))
    return 0


def run_tag(root: Path, options: argparse.Namespace) -> int:
    """Give a version a name, and print the version that had the name before."""
    from kshot.lifecycle.data import data_names, data_versions

    version = data_versions.find(root, options.version)
    before = data_names.give(root, options.name, version.md5, move=options.move)
    instead = f" instead of {before[:8]}" if before not in (None, version.md5) else ""
    print(f"{options.name} is data version {version.short}{instead}; it is in data/names.json, to be committed")
    return 0


def run_untag(root: Path, options: argparse.Namespace) -> int:
    """Remove a name."""
    from kshot.lifecycle.data import data_names

    md5 = data_names.take_away(root, options.name)
    print(f"the name {options.name} is removed; data version {md5[:8]} stays")
    return 0


def run_restore(root: Path, options: argparse.Namespace) -> int:
    """Restore a version to data/raw, and print which one it replaced."""
    from kshot.lifecycle.data import data_versions
    from kshot.lifecycle.data.changes import restore

    with project_lock.hold(root, "kshot data restore"):
        version, before = data_versions.find(root, options.version), data_versions.current(root)
        changed = restore.checkout(root, version)
    if not changed:
        print(f"data/raw is data version {version.short} already")
        return 0
    other = before if before is not None and before.md5 != version.md5 else None
    back = f"; back to what was there: kshot data restore {other.short}" if other is not None else ""
    print(f"data/raw is data version {version.short}: {version.images:,} images of {version.classes:,} classes{back}")
    return 0
