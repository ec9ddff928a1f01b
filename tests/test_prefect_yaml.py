"""prefect.yaml: valid for Prefect's models, the flow's parameters and each worker's template of job variables."""

import inspect
import json
from pathlib import Path
from typing import Any

import prefect
import pytest
import yaml
from prefect.cli.deploy._models import DeploymentConfig, PrefectYamlModel
from prefect.client.schemas.objects import ConcurrencyLimitConfig

ROOT = Path(__file__).parents[1]
FILE = PrefectYamlModel.model_validate(yaml.safe_load((ROOT / "prefect.yaml").read_text()))
WORKERS = {"kshot-machine": ("prefect", "process"), "kshot-kubernetes": ("prefect-kubernetes", "kubernetes")}


def template(pool: str) -> dict[str, Any]:
    """The base job template of a pool's worker, as Prefect ships it."""
    package, kind = WORKERS[pool]
    shipped = Path(prefect.__file__).parent / "server/api/collections_data/views/aggregate-worker-metadata.json"
    found: dict[str, Any] = json.loads(shipped.read_text())[package][kind]["default_base_job_configuration"]
    return found


def test_there_is_a_deployment_for_each_kind_of_work_pool() -> None:
    assert {one.work_pool.name for one in FILE.deployments if one.work_pool} == set(WORKERS)
    assert FILE.prefect_version == prefect.__version__


@pytest.mark.parametrize("deployment", FILE.deployments, ids=lambda one: str(one.name))
def test_the_job_variables_are_those_of_the_worker(deployment: DeploymentConfig) -> None:
    assert deployment.work_pool is not None and deployment.work_pool.name is not None
    known = template(deployment.work_pool.name)["variables"]["properties"]
    for name, value in deployment.work_pool.job_variables.items():
        kinds = [one.get("type") for one in known[name].get("anyOf", [known[name]])]
        assert {str: "string", int: "integer", dict: "object"}[type(value)] in kinds, name


@pytest.mark.parametrize("deployment", FILE.deployments, ids=lambda one: str(one.name))
def test_entrypoint_parameters_and_limit_are_sound(deployment: DeploymentConfig) -> None:
    from kshot.flows.at_commit import retrain_at_commit

    assert deployment.entrypoint == "src/kshot/flows/at_commit.py:retrain_at_commit"
    assert set(deployment.parameters) <= set(inspect.signature(retrain_at_commit.fn).parameters)
    retrain_at_commit.validate_parameters(deployment.parameters)
    assert deployment.concurrency_limit is not None and not isinstance(deployment.concurrency_limit, int)
    assert ConcurrencyLimitConfig(**deployment.concurrency_limit.model_dump()).limit == 1


@pytest.mark.parametrize("deployment", FILE.deployments, ids=lambda one: str(one.name))
def test_the_steps_that_fetch_the_code_take_what_they_are_given(deployment: DeploymentConfig) -> None:
    from prefect.utilities.importtools import import_object

    assert isinstance(deployment.pull, list)
    for step in deployment.pull:
        ((name, given),) = step.items()
        assert set(given) <= set(inspect.signature(import_object(name)).parameters)


def test_the_image_holds_what_its_installation_reads() -> None:
    copied = [line.split()[1:-1] for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("COPY")]
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {name for names in copied for name in names} == kept
    assert all((ROOT / name).exists() for name in kept)
