"""The queue of trials: one that was lost is tried again in another worktree, and not for ever."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kshot.lifecycle.sweep import trial_queue
from kshot.lifecycle.sweep.ray_trials import resources
from kshot.lifecycle.sweep.trial_queue import Again, Ended, TrialInputs, TrialLost
from kshot.params.schema import load_params
from tests.lifecycle.sweep.finished_trials import trial
from tests.short_names import train_with

TRAIN = load_params(Path(__file__).parents[3] / "params.yaml").train


@dataclass
class Place:
    """Loses the first `losses` attempts of trial 1; every other attempt ends with 0."""

    losses: int
    trees: list[Path] = field(default_factory=list)

    def start(self, inputs: TrialInputs, tree: Path, one: Any) -> "Place.Attempt":
        self.trees.append(tree)
        lost = one.number == 1 and self.losses > 0
        self.losses -= lost
        return Place.Attempt(lost)

    @dataclass
    class Attempt:
        lost: bool

        def poll(self) -> int | None:
            if self.lost:
                raise TrialLost("NodeDied: node 10.0.0.3")
            return 0

        def end(self) -> None:
            pass


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrialInputs:
    """A repository with a commit; the worktrees need no data here."""
    monkeypatch.setattr(trial_queue.worktree, "prepare", lambda *_, **__: None)
    (tmp_path / "params.yaml").write_text("{}")
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run(["git", *identity, *command], cwd=tmp_path, check=True)
    return TrialInputs(tmp_path, "HEAD", "d0", "5w1s", "{}")


def test_a_lost_trial_is_tried_again_in_another_worktree(inputs: TrialInputs) -> None:
    place = Place(losses=1)
    said = list(trial_queue.run(inputs, [trial(1), trial(2)], 1, place.start))
    assert [(type(one), one.trial.number, one.trouble) for one in said] == [
        (Again, 1, "NodeDied: node 10.0.0.3"),
        (Ended, 1, ""),
        (Ended, 2, ""),
    ]
    assert place.trees[0] != place.trees[1] == place.trees[2]
    assert not [path for path in (inputs.home / ".kshot").iterdir() if path.name.startswith("sweep-")]


def test_a_trial_that_is_always_lost_fails_and_says_why(inputs: TrialInputs) -> None:
    said = list(trial_queue.run(inputs, [trial(1), trial(2)], 1, Place(losses=9).start))
    assert [type(one) for one in said] == [Again, Again, Ended, Ended]
    assert said[2].trouble == "it was lost 3 times, at last because NodeDied: node 10.0.0.3"
    assert said[3].trouble == ""


def test_a_trial_takes_a_processor_for_each_process_or_gpus_if_the_cluster_has_any() -> None:
    assert resources(TRAIN, {"CPU": 8.0}) == {"CPU": 1}
    assert resources(train_with(TRAIN, processes=2), {"CPU": 8.0}) == {"CPU": 2}
    assert resources(TRAIN, {"CPU": 8.0, "GPU": 2.0}) == {"CPU": 1, "GPU": 1}
    assert resources(train_with(TRAIN, device="cpu"), {"CPU": 8.0, "GPU": 2.0}) == {"CPU": 1}
