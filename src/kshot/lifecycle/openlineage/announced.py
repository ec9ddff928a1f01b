"""Announces a run by OpenLineage events: START, then COMPLETE, FAIL or ABORT. No run fails because of them."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from kshot.lifecycle.openlineage import delivery
from kshot.lifecycle.openlineage.run_events import Decided, LineageRun, State, run_event
from kshot.redaction import redacted


class Announced:
    """The content of a run's events, as far as it is known. `say`: prints a line about an event that was lost."""

    def __init__(self, root: Path, run: LineageRun, say: Callable[[str], None]) -> None:
        self._root, self._run, self._say = root, run, say
        self._decided: Decided | None = None

    def decided(self, version: str, decision: str, reasons: tuple[str, ...]) -> None:
        """Add the registered version and its decision to the events that follow."""
        self._decided = Decided(version, decision, reasons)

    def send(self, state: State, error: BaseException | None = None) -> None:
        """Deliver an event, if KSHOT_OPENLINEAGE asks for any; a failure is said in one line."""
        if not delivery.place():
            return
        try:
            delivery.deliver(run_event(self._root, self._run, state, self._decided, error), self._root)
        except Exception as trouble:
            cause = " ".join(f"{type(trouble).__name__}: {trouble}".split())
            self._say(redacted(f"the OpenLineage event {state} was not delivered to {delivery.place()} ({cause})"))


@contextlib.contextmanager
def announced(root: Path, run: LineageRun, say: Callable[[str], None]) -> Iterator[Announced]:
    """Send an event when the block begins, and one when it ends or fails."""
    events = Announced(root, run, say)
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
