"""Finds data versions that only this machine has, if the project has a DVC remote."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kshot.errors import DataError, KshotError
from kshot.first_few import first_few
from kshot.lifecycle.data import data_versions, erasures, lost_content
from kshot.lifecycle.doctor.finding import Finding
from kshot.lifecycle.project.dvc_repository import dvc_repository
from kshot.redaction import redacted

CHECK = "remote"


def findings(root: Path) -> list[Finding]:
    """Find the data versions that are not in the remote; empty if none is set up. Raises DataError."""
    if not (root / ".dvc").is_dir() or not (known := _versions(root)):
        return []
    with _remote(root) as (repo, remote):
        if remote is None:
            return []
        missing = _missing(remote, known)
        where = remote.fs.unstrip_protocol(remote.path)
        here = [md5 for md5 in missing if repo.cache.local.exists(f"{md5}.dir")]
    lost = [md5 for md5 in missing if md5 not in here]
    found = []
    if here:
        found.append(
            Finding(
                CHECK,
                f"not in {where}, only here: data version {_short(here)}",
                "a copy off this machine",
                "kshot doctor --mend pushes it",
                by_itself=lambda: push(root),
            )
        )
    if lost:
        what = f"neither in DVC's cache nor in {where}: data version {_short(lost)}"
        mend = f"{lost_content.way_back(root, data_versions.versions(root), lost[0])}; or do without"
        found.append(Finding(CHECK, what, "the images, to bring it back", mend, must=False))
    return found


def push(root: Path) -> str:
    """Push every data version that the cache has and the remote does not. Raises DataError."""
    from dvc_data.hashfile.hash_info import HashInfo

    with _remote(root) as (repo, remote):
        missing = [md5 for md5 in _missing(remote, _versions(root)) if repo.cache.local.exists(f"{md5}.dir")]
        listings = [HashInfo("md5", f"{md5}.dir") for md5 in missing]
        # `repo.cloud.push` is shallow: for a folder it would send only the listing.
        result = repo.cloud.transfer(repo.cache.local, remote, listings, cache_odb=repo.cache.local, shallow=False)
        where = remote.fs.unstrip_protocol(remote.path)
    if result.failed:
        raise DataError(f"{len(result.failed)} files were not taken by {where}; try `dvc push` to see why")
    return f"pushed {len(result.transferred):,} files to {where}: data version {_short(missing)}"


def _versions(root: Path) -> list[str]:
    found = {version.md5: None for version in data_versions.versions(root)}
    now = data_versions.current(root)
    # A version that lacks erased images cannot be pushed as a whole.
    return [md5 for md5 in found | ({now.md5: None} if now else {}) if not erasures.of_version(root, md5)]


def _missing(remote: Any, known: list[str]) -> list[str]:
    # A listing is uploaded after all of its files, so if it is there, they are, too.
    there = set(remote.oids_exist([f"{md5}.dir" for md5 in known]))
    return [md5 for md5 in known if f"{md5}.dir" not in there]


@contextmanager
def _remote(root: Path) -> Iterator[tuple[Any, Any]]:
    """DVC's repository and its default remote, None if there is none. Errors of a remote become a DataError."""
    from dvc.config import NoRemoteError

    try:
        with dvc_repository(root) as repo:
            try:
                remote = repo.cloud.get_remote_odb()
            except NoRemoteError:
                remote = None
            yield repo, remote
    except KshotError:
        raise
    except Exception as error:  # every kind of remote raises its own errors
        what = redacted(" ".join(str(error).split()))[:200] or type(error).__name__
        raise DataError(
            f"DVC's remote cannot be read: {what}; see `dvc remote list` and its logins, or `dvc doctor`"
        ) from error


def _short(versions: list[str]) -> str:
    return first_few([md5[:8] for md5 in versions], 5)
