"""Options and output shared by the verbs of a running service: its address, its key, and the files to send."""

import argparse
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kshot.errors import DataError, ServiceError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from kshot.serve.client import Client

AT = "http://127.0.0.1:8000"
# What to do about a refusal, where the service's own line names an address or a field of a request.
REMEDIES = {
    "unknown_gallery": "`kshot gallery list` lists them",
    "unknown_class": "`kshot gallery examples {gallery}` lists the classes with their images",
    "unknown_example": "`kshot gallery examples {gallery}` lists those that are there",
    "unknown_item": "`kshot feedback list --order newest` lists those that are there",
    "class_exists": "add --merge to join the two",
    "empty_gallery": "teach it first: `kshot gallery teach {gallery} CLASS IMAGE ...`",
    "no_threshold": "set one: `kshot gallery threshold {gallery} DISTANCE`",
}


def add_connection(one: argparse.ArgumentParser) -> None:
    """Add the options for the service's address and for the form of its output."""
    one.add_argument(
        "--at",
        metavar="ADDRESS",
        help=f"of the service; default: KSHOT_AT, else that of the service that runs in this project, else {AT}",
    )
    one.add_argument("--json", action="store_true", help="print the service's answer as JSON")


def address(root: Path, options: argparse.Namespace) -> str:
    """The service's address: from --at, KSHOT_AT, the service that runs in the project at `root`, or the default."""
    from kshot.serve.running_address import running_at

    return options.at or os.environ.get("KSHOT_AT") or running_at(root) or AT


def connected(run: Callable[["Client", argparse.Namespace], int]) -> Callable[[Path, argparse.Namespace], int]:
    def with_client(root: Path, options: argparse.Namespace) -> int:
        from kshot.serve.client import Client

        with Client(address(root, options)) as client:
            try:
                return run(client, options)
            except ServiceError as error:
                raise for_shell(error, getattr(options, "gallery", None)) from error

    return with_client


def for_shell(error: ServiceError, gallery: str | None) -> ServiceError:
    """The same refusal with a remedy that a person in a shell can type, if there is one."""
    remedy = REMEDIES.get(error.code)
    if remedy is None:
        return error
    text = f"{str(error).partition('; ')[0]}; {remedy.format(gallery=shlex.quote(gallery) if gallery else 'GALLERY')}"
    return ServiceError(text, status=error.status, code=error.code, request=error.request)


def answered(options: argparse.Namespace, message: "BaseModel", *lines: str) -> int:
    """Print the service's response: its JSON with --json, else the lines."""
    print(message.model_dump_json(by_alias=True, indent=2) if options.json else "\n".join(lines))
    return 0


def files_named(named: list[str], *, folders: bool = False) -> list[Path]:
    """The paths, each of which must exist. Raises DataError."""
    paths = [Path(name).expanduser() for name in named]
    for path in paths:
        if not path.exists():
            raise DataError(f"{path} does not exist; name an image file")
        if path.is_dir() and not folders:
            raise DataError(f"{path} is a folder; name its images, or take in class folders with kshot gallery import")
    return paths
