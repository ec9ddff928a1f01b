"""The story of a model in operation, using only the commands: trained by schedule, approved, surpassed, rolled back."""

import dataclasses
import shlex
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from kshot.flows import notify
from kshot.lifecycle.data import working_copy
from kshot.lifecycle.params_file import settings
from tests.flows.project import SETTINGS, Ended, draw_classes, kshot, make_project, stretch
from tests.flows.served import serving, webhook

MANUAL = "gate.approval=manual"
GIT = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org"]


@dataclasses.dataclass
class Told:
    """What the commands said, by the name of the step, and what the schedule said and the webhook heard meanwhile."""

    root: Path
    names: Mapping[str, str]  # of the environment
    steps: dict[str, Ended] = dataclasses.field(default_factory=dict)
    scheduler: str = ""
    heard: list[dict[str, str]] = dataclasses.field(default_factory=list)
    lines: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0.0

    def do(self, step: str, *arguments: str) -> Ended:
        """Run a command of kshot's as the step of that name."""
        ended = self.steps[step] = kshot(self.root, *arguments, names=self.names)
        self.lines.append(f"$ {shlex.join(['kshot', *arguments])}")
        self.lines += (ended.out + ended.err).rstrip().splitlines()
        self.lines += [f"(exit code {ended.code})"] if ended.code else []
        return ended


def make(root: Path, bucket: str = "") -> Path:
    """The project with small settings in its commit, where a schedule finds them; `bucket`: S3's address for data."""
    made = make_project(root)
    if bucket:
        working_copy.dvc(made, "remote", "add", "--quiet", "--default", "bucket", "s3://kshot/dvc")
        working_copy.dvc(made, "remote", "modify", "bucket", "endpointurl", bucket)
    text, _ = settings.plan(made, overlay=made / "overlay.yaml", sets=[*(s for s in SETTINGS if s != "--set"), MANUAL])
    settings.write(made, text)
    subprocess.run([*GIT, "commit", "-qam", "small, and a person approves"], cwd=made, check=True)
    return made


def tell(root: Path, names: Mapping[str, str]) -> Told:
    """Tell the story in the project at `root`; `names` say which servers, none for the embedded default."""
    images, began = root.parent / "images", time.monotonic()
    first = draw_classes(images / "first")
    second = draw_classes(images / "second", groups=4)  # the same classes and eight more
    broken = draw_classes(images / "broken", groups=4, seed=1)
    stretch(broken / "group1/class03/00.png")
    heard: list[dict[str, str]] = []
    with webhook(heard) as address:
        told = Told(root, {**names, notify.NAME: address}, heard=heard)
        told.do("add first", "data", "add", str(first), "--note", "first season")
        with serving(root, "--on-new-data", "--poll", "1s", names=told.names) as schedule:
            schedule.until(lambda: schedule.said().count(": completed") == 1, "the retraining of the first version")
            told.do("approve first", "approve", "1", "--by", "Ada", "--reason", "the first that we have")
            told.do("add second", "data", "add", str(second), "--note", "eight new classes")
            schedule.until(lambda: schedule.said().count(": completed") == 2, "the retraining of the second version")
            told.do("models second", "models", "--json")
            told.do("approve second", "approve", "challenger", "--by", "Grace", "--reason", "knows the new classes")
            told.do("add broken", "data", "add", str(broken), "--note", "third season")
            schedule.until(lambda: told.heard and ": failed" in schedule.said(), "the end of the broken version")
        told.scheduler = schedule.said()
    told.do("models broken", "models", "--json")
    told.do("rollback", "rollback", "--reason", "false accepts on the shop floor", "--by", "Ada")
    told.do("history", "history")
    told.do("audit", "audit", "--model", "champion")
    told.do("audit second", "audit", "--model", "2")
    told.do("remove", "schedule", "remove")
    told.do("doctor", "doctor")
    told.seconds = time.monotonic() - began
    # Beside the project, for who wants to read what was printed.
    (told.root.parent / "story.txt").write_text("\n".join([*told.lines, "", told.scheduler]))
    return told


def move(told: Told, place: Path) -> None:
    """Move the project, look for what that broke, mend it, and audit the champion again."""
    told.root = told.root.rename(place)
    told.do("moved", "doctor")
    told.do("mended", "doctor", "--mend")
    told.do("audit after move", "audit", "--model", "champion")
