"""The OpenLineage events of a flow run: START, then COMPLETE, FAIL or ABORT. A flow never fails because of them."""

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path

from prefect import runtime

from kshot.flows.output import say
from kshot.lifecycle.openlineage import delivery
from kshot.lifecycle.openlineage.run_events import Decided, Flow, State, run_event
from kshot.redaction import redacted


class FlowEvents:
    """What the events of one flow run say, as far as it is known."""

    def __init__(self, root: Path, name: str, measures: bool) -> None:
        self._root, self._flow = root, Flow(name, str(runtime.flow_run.id or uuid.uuid4()), measures)
        self._decided: Decided | None = None

    def decided(self, version: str, decision: str, reasons: tuple[str, ...]) -> None:
        """Name the registered version, and what was decided about it, in the events to come."""
        self._decided = Decided(version, decision, reasons)

    def send(self, state: State, error: BaseException | None = None) -> None:
        """Deliver an event, if KSHOT_OPENLINEAGE asks for any; a failure is said in one line."""
        if not delivery.place():
            return
        try:
            delivery.deliver(run_event(self._root, self._flow, state, self._decided, error), self._root)
        except Exception as trouble:
            cause = " ".join(f"{type(trouble).__name__}: {trouble}".split())
            say(redacted(f"the OpenLineage event {state} was not delivered to {delivery.place()} ({cause})"))


@contextlib.contextmanager
def of_flow(root: Path, name: str, *, measures: bool) -> Iterator[FlowEvents]:
    """The events of the current run of the flow: one when the block begins, and one when it ends or fails.

    `measures`: as in run_events.Flow.
    """
    events = FlowEvents(root, name, measures)
    events.send("START")
    try:
        yield events
    except Exception as error:
        events.send("FAIL", error)
        raise
    except BaseException as error:  # Ctrl-C, or cancelled
        events.send("ABORT", error)
        raise
    events.send("COMPLETE")
