"""A real PostgreSQL on loopback, in its own folder, under a user that is not root."""

import os
import pwd
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.services.processes import free_port

DEBIANS = Path("/usr/lib/postgresql")  # Debian keeps them off the PATH, a folder for each version
USERS = ("postgres", "nobody")  # PostgreSQL refuses to run as root
WANTED = ("initdb", "pg_ctl", "psql")


def binaries() -> Path | None:
    """The folder that holds PostgreSQL's programs, None where there is none."""
    for place in (*sorted(DEBIANS.glob("*/bin"), reverse=True), *map(Path, os.get_exec_path())):
        if all((place / name).exists() for name in WANTED):
            return place
    return None


@contextmanager
def postgres(databases: tuple[str, ...]) -> Iterator[str]:
    """Run a server with these databases; yields user:password@host:port/ for addresses.

    Its folder is not below pytest's, which let no other user through.
    """
    with (
        tempfile.TemporaryDirectory(prefix="kshot-postgres-") as folder,
        _server(Path(folder), databases) as address,
    ):
        yield address


@contextmanager
def _server(folder: Path, databases: tuple[str, ...]) -> Iterator[str]:
    place, become = binaries(), _somebody_else()
    assert place is not None, "the caller skips without it"
    password, port = secrets.token_hex(8), free_port()
    secret, data = folder / "password", folder / "data"
    secret.write_text(password)
    if become:
        os.chown(folder, *become)
        os.chown(secret, *become)

    def run(program: str, *arguments: str) -> None:
        command = [str(place / program), *arguments]
        if become:
            command = ["setpriv", f"--reuid={become[0]}", f"--regid={become[1]}", "--clear-groups", *command]
        names = {**os.environ, "PGPASSWORD": password, "LC_ALL": "C"}
        # Into a file: the server keeps the output of pg_ctl open for as long as it runs.
        with (folder / "said").open("ab") as said:
            ended = subprocess.run(command, cwd=folder, env=names, stdout=said, stderr=said, timeout=120)
        assert ended.returncode == 0, (folder / "said").read_text()[-2000:]

    run(
        *("initdb", "--pgdata", str(data), "--username=kshot", f"--pwfile={secret}"),
        *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"),
    )
    # Nothing here has to survive a power failure.
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={data} -c fsync=off"
    run("pg_ctl", "start", "--pgdata", str(data), "--log", str(folder / "log"), "--wait", "--options", options)
    try:
        for name in databases:
            run(
                *("psql", "--quiet", "--host=127.0.0.1", f"--port={port}", "--username=kshot", "--dbname=postgres"),
                *("--command", f"create database {name}"),
            )
        yield f"kshot:{password}@127.0.0.1:{port}/"
    finally:
        run("pg_ctl", "stop", "--pgdata", str(data), "--mode=immediate", "--wait")


def _somebody_else() -> tuple[int, int] | None:
    """The user and group that run the server where we are root; None where we may do it ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = next(known[name] for name in USERS if name in known)
    return user.pw_uid, user.pw_gid
