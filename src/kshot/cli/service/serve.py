"""`kshot serve`: serves the champion to clients that teach classes once and send images to recognise."""

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import Any

from kshot.errors import ParamsError
from kshot.lifecycle.project.tables import columns

DESCRIPTION = """\
Serve the champion: galleries of classes, taught once by example images and recognised many times.
The printed address shows a page; `kshot gallery` and kshot.Client use the service from a shell and
from Python. The service follows the registry: when the champion changes, every gallery is embedded
by the new model, and then both switch in one step.

  kshot serve
  kshot serve --host 0.0.0.0 --allow-host shop.example.org
  kshot serve key add phone --scope teach

Only clients on this machine may connect without a key. Every option can be set by a variable, too,
such as KSHOT_SERVE_PORT; the limits of a request by variables alone. docs/serve.md
"""
OPTIONS = ("host", "port", "alias", "shadow", "database", "images", "device", "log")


def add_parser(verbs: Any) -> None:
    """Add the verb `serve` and its verbs for keys to the command line."""
    top = verbs.add_parser(
        "serve", help="serve the champion to clients that teach classes and ask", description=DESCRIPTION
    )
    top.add_argument("--host", metavar="ADDRESS", help="listen there; default: 127.0.0.1, only this machine")
    top.add_argument("--port", type=int, metavar="PORT", help="default: 8000")
    top.add_argument(
        "--allow-host", action="append", metavar="NAME", help="a name by which clients address it; may be repeated"
    )
    top.add_argument(
        "--allow-origin",
        action="append",
        metavar="ADDRESS",
        help="a site whose pages may ask by script (CORS), with a key; may be repeated",
    )
    top.add_argument(
        "--require-key", action="store_true", default=None, help="ask clients on this machine for a key, too"
    )
    top.add_argument("--alias", metavar="ALIAS", help="serve and follow this alias; default: champion")
    top.add_argument(
        "--shadow",
        metavar="ALIAS",
        help="also predict with this version, such as challenger, and count where it disagrees",
    )
    top.add_argument("--database", metavar="URL", help="PostgreSQL instead of SQLite in .kshot/serve/")
    top.add_argument("--images", metavar="ADDRESS", help="an fsspec address, such as s3://bucket/galleries")
    top.add_argument("--device", metavar="DEVICE", help="auto, cpu, cuda or mps; default: auto")
    top.add_argument("--log", metavar="KIND", help="log recognised images: off, all, unknown or sample; default: off")
    top.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="ray: by Ray Serve, on the cluster of RAY_ADDRESS"
    )
    top.add_argument("--replicas", type=int, metavar="N", help="with --engine ray; default: 1")
    top.set_defaults(run=run)
    keys = top.add_subparsers(title="commands", metavar="COMMAND").add_parser(
        "key", help="make, list and revoke the keys of clients"
    )
    below = keys.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add = below.add_parser("add", help="make a key, which is shown once")
    add.add_argument("name", metavar="NAME", help="of the client; it is in the log of every request")
    add.add_argument(
        "--scope", default="ask", metavar="SCOPE", help="ask (default), teach or admin; each has the former"
    )
    add.set_defaults(run=run_add)
    below.add_parser("list", help="list the keys").set_defaults(run=run_list)
    revoke = below.add_parser("revoke", help="refuse a key from now on")
    revoke.add_argument("name", metavar="NAME")
    revoke.set_defaults(run=run_revoke)


def run(root: Path, options: argparse.Namespace) -> int:
    """Serve until a signal ends the process."""
    from kshot.serve import process

    process.require_installed()
    if options.engine == "ray":
        from kshot.serve.ray_serve import serve_on_ray

        serve_on_ray(root, _settings(options), 1 if options.replicas is None else options.replicas)
        return 0
    if options.replicas is not None:
        raise ParamsError("--replicas needs --engine ray: without it the service is one process")
    process.serve(root, _settings(options))
    _end_process()
    return 0


def _end_process() -> None:
    """End without the interpreter's last garbage collection.

    It visits the 700,000 objects of torch and MLflow, which takes 2 s of processor time and on a busy machine 10 s and
    more. The service has ended its threads and closed its files by now.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def run_add(root: Path, options: argparse.Namespace) -> int:
    """Make a key and print it, alone on stdout."""
    from kshot.serve.store import keys

    with _opened(root, options) as store:
        print(keys.add(store, options.name, options.scope))
    return 0


def run_list(root: Path, options: argparse.Namespace) -> int:
    """Print one line a key."""
    from kshot.serve.store import keys

    with _opened(root, options) as store, store.database.reading() as connection:
        found = keys.listed(connection)
    rows = [
        {"name": key.name, "scope": key.scope, "made": key.created[:19], "revoked": (key.revoked or "")[:19]}
        for key in found
    ]
    print("\n".join(columns(rows)) if rows else "no key yet; make one: kshot serve key add NAME")
    return 0


def run_revoke(root: Path, options: argparse.Namespace) -> int:
    """Revoke a key; running services refuse it with the next request."""
    from kshot.serve.store import keys

    with _opened(root, options) as store:
        keys.revoke(store, options.name)
    print(f"key {options.name!r} is revoked")
    return 0


def _settings(options: argparse.Namespace) -> Any:
    from kshot.serve.settings import settings_from

    given = {name: getattr(options, name) for name in OPTIONS}
    hosts = tuple(options.allow_host) if options.allow_host else None
    origins = tuple(options.allow_origin) if options.allow_origin else None
    own = {"hosts": hosts, "origins": origins, "require_key": options.require_key}
    return settings_from(os.environ, {**given, **own})


def _opened(root: Path, options: argparse.Namespace) -> Any:
    import contextlib

    from kshot.serve.process import require_installed

    require_installed()
    from kshot.serve.store.gallery_store import open_store

    settings = _settings(options)
    return contextlib.closing(open_store(root, settings.database, settings.images))
