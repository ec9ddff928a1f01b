"""`kshot forget`: lists every place with an image, and deletes the image there with --yes."""

import argparse
import contextlib
import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kshot.cli.versions.prune import size
from kshot.errors import DataError, ParamsError
from kshot.lifecycle.project import project_lock

if TYPE_CHECKING:
    from kshot.lifecycle.forget.erase import Forgetting
    from kshot.lifecycle.forget.holding import Holding, Place
    from kshot.lifecycle.forget.inventory import Inventory
    from kshot.lifecycle.forget.selection import ForgetRequest

DESCRIPTION = """\
Show every place with an image: data versions, DVC's cache and remotes, packed images, features, pages, input
examples of models, galleries and the log of `kshot serve`. With --yes make a data version without it,
delete it there, and record who erased it, when and why:

  kshot forget data/raw/images/robin/3.jpg --reason "Ada took it back"
  kshot forget --class robin --reason "licence ended" --yes

Data versions with the image stay, incomplete on purpose: `kshot audit` says so. Models that were trained
on it stay, too, and are listed. A killed or refused command continues when it is run again. docs/forget.md
"""


def add_parser(verbs: Any) -> None:
    """Add the verb `forget` to the command line."""
    top = verbs.add_parser(
        "forget",
        help="show every place with an image, a class or a source; --yes deletes it there",
        description=DESCRIPTION,
    )
    top.add_argument("image", nargs="*", metavar="IMAGE", help="a file, its path in data/raw, its md5 or its sha256")
    top.add_argument("--class", dest="label", default="", metavar="NAME", help="all images of a class")
    top.add_argument("--source", default="", metavar="NAME", help="all images that `kshot data add` took from it")
    top.add_argument("--reason", default="", metavar="TEXT", help="why, for the record; needed with --yes")
    top.add_argument("--by", default="", metavar="NAME", help="who asks (default: your name on this machine)")
    top.add_argument(
        "--key", type=Path, metavar="FILE", help="an SSH key that signs the receipt (default: $KSHOT_SIGNING_KEY)"
    )
    top.add_argument("--champions-data", action="store_true", help="agree to forget all that the champion learned from")
    top.add_argument("--database", metavar="URL", help="the galleries' database, as `kshot serve` was given")
    top.add_argument("--images", metavar="ADDRESS", help="the galleries' images, likewise")
    top.add_argument("--yes", action="store_true", help="forget it, for good")
    top.add_argument("--json", action="store_true", help="the same for programs")
    top.set_defaults(run=run)


def run(root: Path, options: argparse.Namespace) -> int:
    """Print what holds the images, and delete it with --yes."""
    from kshot.lifecycle.forget import erase, inventory, receipt, selection
    from kshot.lifecycle.signatures.signing_key import signing_key

    request, key = _request(options), signing_key(root, options.key).given
    if key is not None and options.yes:
        receipt.require_able(root, key)
    # Both locks: a retraining reads the images, and its outputs are in the cache before any version names them.
    with contextlib.ExitStack() as stack:
        stack.enter_context(project_lock.hold(root, "kshot forget"))
        stack.enter_context(project_lock.hold(root, "kshot forget", project_lock.SCHEDULED))
        stack.enter_context(project_lock.hold(root, "kshot forget", project_lock.SWEEP))
        others = _others(root, options)
        noted = erase.under_way(root, request)
        if noted is None:
            with inventory.of_request(root, request, Path.cwd(), others) as found:
                selection.require_known(root, request, found.wanted, found.is_held, found.unreached.values())
                if options.yes:
                    inventory.require_no_archive(found)
                    inventory.require_champion_agreed(root, found, options.champions_data)
                    noted = erase.begin(root, request, found)
                else:
                    print(json.dumps(_fields(found), indent=2) if options.json else _inventory_text(root, found))
        if not options.yes:
            if noted is not None:
                raise DataError(
                    f"that was begun {noted.erasure.at[:16]} UTC and is not finished: the same with --yes continues it"
                )
            return 0
        assert noted is not None
        done = erase.finish(root, noted, others, key)
    print(
        json.dumps(json.loads(done.receipt.read_text(encoding="utf-8")), indent=2)
        if options.json
        else _receipt_text(root, done)
    )
    return 0


def _request(options: argparse.Namespace) -> "ForgetRequest":
    from kshot.lifecycle.forget.selection import ForgetRequest

    given = [bool(options.image), bool(options.label), bool(options.source)]
    if sum(given) != 1:
        raise ParamsError("`kshot forget` needs images, or --class NAME, or --source NAME: one of these")
    if options.yes and not options.reason.strip():
        raise ParamsError("no reason is given; the record of an erasure needs one: --reason TEXT")
    return ForgetRequest(tuple(options.image), options.label, options.source, options.reason.strip(), options.by)


def _others(root: Path, options: argparse.Namespace) -> "list[Place]":
    """The places of `kshot serve`, where its extra is installed or it has ever run."""
    from importlib.util import find_spec

    if find_spec("fsspec") is None and not options.database:
        return []
    from kshot.serve.actions.forgetting import Galleries
    from kshot.serve.settings import settings_from

    given = {"database": options.database, "images": options.images}
    return [Galleries(root, settings_from(os.environ, given))]


def _fields(found: "Inventory") -> dict[str, Any]:
    return {
        "images": [{"md5": one.md5, "sha256": one.sha256, "bytes": one.size} for one in found.wanted.images],
        "data_versions": sorted(found.wanted.versions),
        "holdings": [vars(one) for one in found.holdings],
        "unreached": found.unreached,
        "models": [{"version": one.version, "data_version": one.data_version} for one in found.models],
    }


def _inventory_text(root: Path, found: "Inventory") -> str:
    from kshot.lifecycle.forget.holding import size_of
    from kshot.lifecycle.forget.inventory import archive_text, version_text
    from kshot.lifecycle.project.tables import columns, counted

    rows = _rows(found.holdings)
    versions = ", ".join(version_text(root, md5) for md5 in sorted(found.wanted.versions))
    lines = [
        f"{counted(len(found.wanted.images), 'image')} in data version {versions}"
        if versions
        else f"{counted(len(found.wanted.images), 'image')} in no data version",
        "",
        *columns(rows),
        *(f"! {why}" for why in found.unreached.values()),
        *([f"! {archive_text(found)}"] if found.archives else []),
        *_model_lines(found.models),
        "",
        f"{size(size_of(found.holdings))} in all: nothing was deleted; the same with --reason TEXT --yes deletes it",
    ]
    return "\n".join(lines)


def _rows(holdings: "tuple[Holding, ...]") -> list[dict[str, str]]:
    counts, sizes = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for one in holdings:
        counts[one.place, one.what] += 1
        sizes[one.place, one.what] += one.size
    return [
        {"where": place, "what": what, "number": f"{count:,}", "bytes": size(sizes[place, what])}
        for (place, what), count in counts.items()
    ]


def _model_lines(models: Any) -> list[str]:
    if not models:
        return []
    named = [f"version {one.version}{f' ({chr(44).join(one.aliases)})' if one.aliases else ''}" for one in models]
    return [
        "",
        f"trained on a data version that held it: {', '.join(named)}. Their weights stay: `kshot retrain` makes one "
        "without it; `kshot rollback` or `kshot promote` retires one",
    ]


def _receipt_text(root: Path, done: "Forgetting") -> str:
    from kshot.lifecycle.project.tables import columns, counted

    versions = ", ".join(md5[:8] for md5 in done.incomplete)
    signed = f", signed{f' by {done.signer}' if done.signer else ''}" if done.signed else ""
    lines = [
        f"{counted(len(done.erasure.images), 'image')} erased",
        *columns(_rows(done.deleted)),
        "",
        f"data version {done.version[:8]} is without it" if done.version else "the current data version had none of it",
        *([f"incomplete on purpose since: data version {versions}"] if versions else []),
        *_model_lines(done.models)[1:],
        f"receipt: {done.receipt.relative_to(root)}{signed}; commit data/erasures.jsonl, data/raw.dvc and "
        "data/versions.jsonl",
    ]
    return "\n".join(lines)
