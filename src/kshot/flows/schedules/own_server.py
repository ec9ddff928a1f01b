"""The Prefect server of a scheduler: the one that PREFECT_API_URL names, or the project's own."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from kshot.errors import KshotError
from kshot.flows import server
from kshot.flows.deployment_names import OWNER
from kshot.lifecycle.project import no_telemetry, processes
from kshot.lifecycle.tracking.first_commits import another, first_commits
from kshot.params import project_name
from kshot.redaction import shareable

Say = Callable[[str], None]
PATIENCE_S = 30.0  # time to wait for a server that another process runs


@contextlib.contextmanager
def one_server(root: Path) -> Iterator[Callable[[Say], None]]:
    """Run a scheduling server during the block; yields a function that waits for it, restarting it if it has ended.

    A server that PREFECT_API_URL names is used and not ended. Otherwise the project's own is started on its
    PREFECT_HOME, and ends with the block.
    """
    home = no_telemetry.keep_prefect_in(root)
    named = os.environ.get("PREFECT_API_URL")
    if named:
        server.find(home)
        _read_settings_again()
        wait_for(named)
        require_own(root, named)
        yield lambda say: None
        return
    server.end_left_behind(home)
    running = [server.start_lasting(home, server.claim_port(4200))]
    server.use(home, running[0].api)
    _read_settings_again()

    answered = False

    def keep(say: Say) -> None:
        nonlocal answered
        try:
            running[-1].wait()
        except KshotError:
            # Restart only a server that was healthy and has ended, perhaps during a request.
            if not answered or running[-1].process.poll() is None:
                raise
            say(f"Prefect's server has ended; starting it again (its last lines are in {running[-1].log})")
            running.append(server.start_lasting(home, running[-1].port))
            running[-1].wait()
        answered = True

    try:
        yield keep
    finally:
        processes.end(running[-1].process, grace_s=10.0)
        server.forget(home)


def _read_settings_again() -> None:
    """Let Prefect know the server, if it was imported before: it would start one of its own, which requires no token.

    It reads its settings once, when it is imported (the function is not documented, as of Prefect 3.8).
    """
    if "prefect" in sys.modules:
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()


def require_own(root: Path, api: str) -> None:
    """Raise KshotError if the server has deployments of another project with the same name, or of another copy."""
    from prefect import get_client

    from kshot.flows.schedules.scheduled_runs import held_by_another, of_project

    ours = first_commits(root)
    with get_client(sync_client=True) as client:
        found = client.read_deployments(deployment_filter=of_project(root))
    owners = {tag.removeprefix(OWNER) for one in found for tag in one.tags if tag.startswith(OWNER)}
    if ours and owners - ours:
        raise KshotError(another(project_name.of(root), shareable(api), min(owners - ours), ours))
    if other := held_by_another(root, found):
        raise KshotError(
            f"{shareable(api)} has a schedule of another copy of this project, in {other}, and nothing was written, "
            "because this one would replace it; `kshot schedule remove` there (where that copy is gone, delete its "
            "deployments on Prefect's pages), or give this copy a name of its own in params.yaml: project: NAME"
        )


def wait_for(api: str) -> None:
    """Return when the server at `api` answers. Raises KshotError after half a minute."""
    began = time.monotonic()
    while not server.responds(api):
        if time.monotonic() - began > PATIENCE_S:
            raise KshotError(
                f"Prefect's server {api} did not answer, tried for {time.monotonic() - began:.0f} s; start it, "
                "or unset PREFECT_API_URL to let kshot start the project's own"
            )
        time.sleep(1)
