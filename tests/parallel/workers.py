"""What processes of a test do: end in every way, and resume a training."""

import os
import shutil
import signal
import time
from pathlib import Path

import torch

from kshot.errors import TrainingDiverged
from kshot.parallel.collectives import add_up
from kshot.parallel.share import ALONE, World


def write_process(world: World, folder: Path) -> None:
    (folder / f"process-{world.rank}").write_text(str(os.getpid()))


def diverge(world: World) -> None:
    """The last process raises while the others wait for it."""
    if world.rank == world.size - 1:
        raise TrainingDiverged("the loss is NaN")
    add_up(torch.ones(1))


def wait(world: World, folder: str) -> None:
    """Wait longer than any test."""
    write_process(world, Path(folder))
    time.sleep(600)


def train_until_killed(world: World, folder: str) -> None:
    """The last process is killed at step 15, after the first has written a checkpoint."""
    from kshot.training import training_run
    from tests.parallel import trainings

    write_process(world, Path(folder))
    training_run.SAVE_EVERY = 0.0
    path = Path(folder) / "checkpoint.safetensors"
    keep = training_run.gathering

    def killed_at(*arguments):
        if world.rank == world.size - 1 and killed_at.step == 15:
            os.kill(os.getpid(), signal.SIGKILL)
        killed_at.step += 1
        return keep(*arguments)

    killed_at.step = 0
    training_run.gathering = killed_at
    trainings.trained("setting mined batches", torch.float64, world, path)


def resume(world: World, folder: str) -> None:
    """Resume in this layout and in one process; write both and an undisturbed training's weights."""
    from tests.parallel import trainings

    name, path = "setting mined batches", Path(folder) / "checkpoint.safetensors"
    resumed, _ = trainings.trained(name, torch.float64, world, path)
    whole, _ = trainings.trained(name, torch.float64, world)
    if world.is_first:
        copy = shutil.copyfile(path, Path(folder) / "copy.safetensors")
        alone, _ = trainings.trained(name, torch.float64, ALONE, copy)
        torch.save({"resumed": resumed, "whole": whole, "alone": alone}, Path(folder) / "weights.pt")


def train_through_a_loss(world: World, folder: str) -> None:
    """First the last process waits at its 15th batch until its node is killed; the next time all resume to the end.

    The first process then writes the resumed and an undisturbed training's weights, and how many batches each took.
    """
    import ray

    from kshot.training import training_run
    from tests.parallel import trainings

    name, path = "setting mined batches", Path(folder) / "checkpoint.safetensors"
    node, gather, batches = Path(folder) / "node", training_run.gathering, [0]
    lost_before = node.exists()
    training_run.SAVE_EVERY = 0.0

    def counted(*arguments):
        batches[0] += 1
        if not lost_before and world.rank == world.size - 1 and batches[0] == 15:
            node.write_text(ray.get_runtime_context().get_node_id())
            time.sleep(600)
        return gather(*arguments)

    training_run.gathering = counted
    resumed, _ = trainings.trained(name, torch.float64, world, path)
    taken, batches[0] = batches[0], 0
    whole, _ = trainings.trained(name, torch.float64, world)
    if world.is_first:
        print("the first process says hello")
        torch.save({"resumed": resumed, "whole": whole, "taken": taken, "all": batches[0]}, Path(folder) / "weights.pt")


def finish_features_and_wait(root: Path, name: str, *arguments):
    """The task of stage embed; the first one that is finished notes its node, and waits for its end."""
    import ray

    from kshot.lifecycle.stages.shards import embed_on_ray

    found = embed_on_ray.finish_on_node(root, name, *arguments)
    try:
        with (root / "node").open("x") as file:
            file.write(ray.get_runtime_context().get_node_id())
        time.sleep(600)
    except FileExistsError:
        pass
    return found
