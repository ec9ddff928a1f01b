"""The flow of one retraining.

`kshot retrain`, schedules and deployments run the project's `flows/retrain.py`. You may change it: an added step
finds the project's folder in `run.root`, and `steps.say` writes to the log and the terminal. A Prefect task
(`from prefect import task`) has retries and its own place on Prefect's pages.
"""

from prefect import flow

from kshot.flows import steps


@flow(name="retrain", on_failure=[steps.tell_failure])
def retrain(root: str = ".", allow_unrecorded: bool = False) -> None:
    """Run every stage, then record, register, decide, promote and report. Raises the KshotError of a failed step.

    `allow_unrecorded`: continue even if git cannot determine the commit.
    """
    with steps.retraining(root, allow_unrecorded) as run:
        steps.ready_data(run)
        stages = steps.run_stages(run)  # of dvc.yaml, in order
        version = steps.register(run)
        outcome = steps.decide_and_promote(run, version)
        steps.report(run, outcome, stages)
    steps.summarise(run, outcome, stages)
