"""Watches the data source, and starts a retraining for each new version."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

from kshot.errors import Busy, DataError
from kshot.flows import notify
from kshot.lifecycle.pipeline import new_data
from kshot.lifecycle.pipeline.schedule import NEW_DATA, Schedule
from kshot.params import project_name

Say = Callable[[str], None]


class Watch:
    """The watch for new data: stores the versions it has seen on disk, and does not retry refused content."""

    def __init__(self, root: Path, say: Say) -> None:
        self.root, self.say = root, say
        self.seen = new_data.read(root)
        self.resting, self.refused, self.looked_at = "", "", 0.0

    def look(self, schedule: Schedule) -> None:
        """Check the source if it is time, and start a retraining for each version without one."""
        if not schedule.new_data or NEW_DATA in schedule.paused:
            return
        from kshot.flows.schedules.scheduled_runs import start_new

        if time.monotonic() - self.looked_at >= schedule.poll_s:
            self.looked_at = time.monotonic()
            self.find(schedule)
        self.seen, lines = start_new(self.root, self.seen)
        for line in lines:
            self.say(line)

    def find(self, schedule: Schedule) -> None:
        """Record the source's current version, on disk before anything is started."""
        if schedule.source is not None:
            self.add(Path(schedule.source), schedule.if_drifted, schedule.extend)
        elif schedule.ref is not None:
            self.note(new_data.of_commit(self.root, schedule.ref), self.seen.fingerprint)
        else:
            self.note(new_data.of_project(self.root), self.seen.fingerprint)

    def add(self, source: Path, if_drifted: bool = False, extend: bool = False) -> None:
        """Add the source if its content is new and unchanged since the last check, as copying may be in progress.

        `if_drifted`: only if it has drifted from the champion's training data; without a champion, always.
        `extend`: to the images of the current data version, which it otherwise replaces.
        """
        found = new_data.fingerprint(source)
        before, self.resting = self.resting, found
        if found == self.refused or found != before:
            return
        if found == self.seen.fingerprint:
            self.note(None, found)  # what was refused in between is gone again
            return
        try:
            if if_drifted:
                verdict = new_data.drifted(self.root, source)
                self.say(f"{source}: {verdict.reason}")
                if not verdict.drifted:
                    self.note(None, found)
                    return
            self.note(new_data.add(self.root, source, extend=extend, say=self.say), found)
        except Busy:
            raise  # reported, and tried again at the next check
        except DataError as error:
            self.refused = found
            self.seen = dataclasses.replace(self.seen, refusal=str(error))
            new_data.write(self.root, self.seen)
            name = project_name.of(self.root)
            notify.send(f"{name}: new data was refused", f"{source}: {error}", {"source": str(source)})
            self.say(f"new data is refused, and looked at again when {source} changes: {error}")

    def note(self, md5: str | None, fingerprint: str) -> None:
        """Store a version that was not seen before."""
        before = self.seen
        versions = self.seen
        if md5 is not None and self.seen.find(md5) is None:
            versions = self.seen.put(new_data.Version(md5))
        self.seen, self.refused = new_data.Seen(fingerprint, versions.versions), ""
        if self.seen != before:
            new_data.write(self.root, self.seen)
