"""A flow for a person's decision, so that Prefect's page has a form for it: version, answer, name and reason.

No process waits for the decision: the registry records what is pending, and this flow starts with the decision.
"""

import os
from pathlib import Path
from typing import Literal

from prefect import flow, runtime
from prefect.deployments.runner import RunnerDeployment

from kshot.errors import KshotError
from kshot.flows import lineage_events
from kshot.flows.at_commit import SERVED
from kshot.flows.deployment_names import ANSWER, deployment_name, tags
from kshot.flows.output import say
from kshot.lifecycle.history import event_text, events
from kshot.lifecycle.registry import catch_up, promotion
from kshot.redaction import guard

Answer = Literal["approve", "reject", "promote", "rollback"]


@flow(name="promote")
def promote(answer: Answer, by: str, version: str = "challenger", reason: str = "") -> None:
    """Approve or reject the pending version, promote any version, or roll back to the previous champion.

    Args:
        answer: the decision
        by: your name, recorded permanently as you state it, with the user who serves this form
        version: a number or an alias; not used by rollback
        reason: why; optional only for approve
    """
    guard()
    # Not a parameter: the sender of the form could name any folder of this machine.
    folder = os.environ.get(SERVED)
    if not folder:
        raise KshotError("no project is served here; start `kshot schedule` in the project, which answers this form")
    project = Path(folder)
    if not by.strip():
        raise KshotError("the name is empty; write into `by` who answers")
    by = f"{by.strip()}, by the form"
    # No key: a form is filled in by somebody whose key is not here, so with gate.approval signed it is refused.
    with lineage_events.of_flow(project, "promote", measures=False) as announced:
        event = _decide(project, answer, version, reason, by)
        announced.decided(event.version, event.action, (event.why,))
    say(f"{event_text.outcome_text(event)} (flow run {runtime.flow_run.name})")


def _decide(project: Path, answer: Answer, version: str, reason: str, by: str) -> events.Event:
    for sentence in catch_up.catch_up(project):
        say(sentence)
    if answer == "approve":
        return promotion.approve(project, version, reason, by)
    if answer == "reject":
        return promotion.reject(project, version, reason, by)
    if answer == "promote":
        return promotion.promote(project, version, reason, by)
    return promotion.rollback(project, reason, by=by)


def deployment(root: Path) -> RunnerDeployment:
    """The flow as a deployment, to be served with others; the environment variable SERVED names the project."""
    made = promote.to_deployment(
        deployment_name(root, ANSWER),
        parameters={"version": "challenger"},
        description="Answer a promotion that waits for approval (`kshot models` lists them), or promote, reject and "
        "roll back by hand.",
        tags=tags(root),
    )
    assert isinstance(made, RunnerDeployment)
    return made
