"""The OpenLineage events of a flow run, under the id that Prefect gives it."""

import contextlib
import uuid
from pathlib import Path

from prefect import runtime

from kshot.flows.output import say
from kshot.lifecycle.openlineage.announced import Announced, announced
from kshot.lifecycle.openlineage.run_events import LineageRun


def of_flow(root: Path, name: str, *, measures: bool) -> contextlib.AbstractContextManager[Announced]:
    """The events of the current run of the flow: one when the block begins, and one when it ends or fails.

    `measures`: as in run_events.LineageRun.
    """
    return announced(root, LineageRun(name, str(runtime.flow_run.id or uuid.uuid4()), measures, "FLOW"), say)
