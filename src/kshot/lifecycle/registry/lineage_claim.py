"""Ensures one version per lineage on any number of machines, by a claim in the history's run.

A claim is a param, which MLflow writes once: the database refuses a second writer of the same number. A claim whose
process is gone, or whose version was pruned since, is followed by the claim with the next number.
"""

import json
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kshot.errors import RegistryError
from kshot.lifecycle.history.events import may_be_writing, person

if TYPE_CHECKING:
    from mlflow import MlflowClient

CLAIM, DONE = "lineage.{}.{:03d}", "lineage.{}.{:03d}.version"
PAUSE_S = 0.2


@dataclass(frozen=True)
class Claim:
    """Attempt `number` to register the lineage `key`, by a process of a machine; `version` once it is registered."""

    key: str
    number: int
    host: str
    process: int
    when: str
    mark: str
    version: str = ""

    @property
    def may_go_on(self) -> bool:
        """Whether the process that made the claim may still be registering the version."""
        return not self.version and may_be_writing(self.host, self.process, self.when)


def take(client: "MlflowClient", run_id: str, key: str, is_registered: Callable[[], bool]) -> Claim | None:
    """Claim the lineage `key` in the history `run_id`; None if the version is registered, by whoever was first.

    Waits while another process that may still be running holds the claim.
    """
    while not is_registered():
        last = _last(client, run_id, key)
        if last is not None and last.may_go_on:
            time.sleep(PAUSE_S)
            continue
        number = last.number + 1 if last else 1
        mine = Claim(key, number, person().host, os.getpid(), datetime.now(UTC).isoformat(), secrets.token_hex(8))
        if _write(client, run_id, mine):
            # The process before may have registered it between the look and the claim.
            return None if is_registered() else mine
    return None


def finish(client: "MlflowClient", run_id: str, claim: Claim, version: str) -> None:
    """Note the version that was registered with `claim`."""
    client.log_param(run_id, DONE.format(claim.key, claim.number), version)


def _write(client: "MlflowClient", run_id: str, claim: Claim) -> bool:
    """Whether the database accepted the claim; False if another process has this number."""
    from mlflow.exceptions import MlflowException

    content = asdict(claim)
    del content["version"]
    try:
        client.log_param(run_id, CLAIM.format(claim.key, claim.number), json.dumps(content))
    except MlflowException:
        last = _last(client, run_id, claim.key)
        if last is None or last.number < claim.number:
            raise
        return last.mark == claim.mark  # its own, if the answer to a first try was lost
    return True


def _last(client: "MlflowClient", run_id: str, key: str) -> Claim | None:
    params = client.get_run(run_id).data.params
    number = 0
    while CLAIM.format(key, number + 1) in params:
        number += 1
    if number == 0:
        return None
    name = CLAIM.format(key, number)
    try:
        return Claim(**json.loads(params[name]), version=params.get(DONE.format(key, number), ""))
    except (ValueError, TypeError) as error:
        raise RegistryError(
            f"{name} of the history of promotions (run {run_id}) was changed in the database: {error}; "
            "bring the database back from a copy"
        ) from error
