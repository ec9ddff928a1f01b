"""One retraining, told on one screen.

`flows/retrain.py` of a project is what `kshot retrain`, schedules and deployments run there. It is yours to change:
a step that is added finds the project's folder in `run.root`, and `steps.say` writes to the log and the terminal.
A task of Prefect's (`from prefect import task`) has retries and a place of its own on Prefect's pages.
"""

from prefect import flow

from kshot.flows import steps


@flow(name="retrain", on_failure=[steps.tell_failure])
def retrain(root: str = ".", allow_unrecorded: bool = False) -> None:
    """Run every stage, then record, register, decide, promote and report. Raises the KshotError of what failed.

    `allow_unrecorded`: go on also where git cannot say which code it is.
    """
    with steps.retraining(root, allow_unrecorded) as run:
        steps.ready_data(run)
        stages = steps.run_stages(run)  # of dvc.yaml, in its order
        version = steps.register(run)
        outcome = steps.decide_and_promote(run, version)
        steps.report(run, outcome, stages)
    steps.summarise(run, outcome, stages)
