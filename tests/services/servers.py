"""The services of a team: MLflow with logins and Prefect, both on PostgreSQL, and a bucket for artifacts and data."""

import base64
import dataclasses
import json
import secrets
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import boto3

from kshot.lifecycle.servers.mlflow_server import NO_JOBS
from tests.services.postgres import postgres
from tests.services.processes import free_port, process, wait_for

BUCKET = "kshot"
KEYS = {"AWS_ACCESS_KEY_ID": "ada", "AWS_SECRET_ACCESS_KEY": "not-a-secret", "AWS_DEFAULT_REGION": "us-east-1"}
AUTH = """[mlflow]
default_permission = READ
database_uri = postgresql://{database}auth
admin_username = admin
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
grant_default_workspace_access = true
auth_cache_ttl_seconds = 60
"""


@dataclasses.dataclass(frozen=True)
class Services:
    """Where they are: addresses without a login, a person's environment for them, and PostgreSQL's address."""

    mlflow: str
    prefect: str
    bucket: str
    database: str
    environment: dict[str, str]


@contextmanager
def services(folder: Path) -> Iterator[Services]:
    """All of them on loopback while the block runs; their words lie in `folder`."""
    with ExitStack() as running:
        database = running.enter_context(postgres(("mlflow", "auth", "prefect")))
        ports = {name: free_port() for name in ("bucket", "mlflow", "prefect")}
        bucket = f"http://127.0.0.1:{ports['bucket']}"
        password, of_admin = secrets.token_hex(8), secrets.token_hex(8)
        (folder / "auth.ini").write_text(AUTH.format(database=database))
        keys = {**KEYS, "AWS_ENDPOINT_URL": bucket, "MLFLOW_S3_ENDPOINT_URL": bucket}
        host = ("--host", "127.0.0.1", "--port")
        commands = {
            # MLflow's server asks for the bucket only when it is used, Prefect's not at all: they start side by side.
            "bucket": ["-m", "moto.server", "-H", "127.0.0.1", "-p", str(ports["bucket"])],
            "mlflow": [
                *("-m", "mlflow", "server", "--app-name", "basic-auth", "--workers", "1"),
                *("--backend-store-uri", f"postgresql://{database}mlflow"),
                *("--artifacts-destination", f"s3://{BUCKET}/mlflow", *host, str(ports["mlflow"])),
            ],
            "prefect": ["-m", "prefect", "server", "start", *host, str(ports["prefect"])],
        }
        names = {
            "bucket": {},
            "mlflow": {
                **keys,
                "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
                "MLFLOW_AUTH_ADMIN_PASSWORD": of_admin,
                "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16),
                **NO_JOBS,
            },
            "prefect": {
                "PREFECT_HOME": str(folder / "prefect-home"),
                "PREFECT_API_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://{database}prefect",
            },
        }
        started = {
            name: running.enter_context(process([sys.executable, *command], names[name], folder / f"{name}.log"))
            for name, command in commands.items()
        }
        for name, path in (("bucket", "/"), ("prefect", "/api/health"), ("mlflow", "/health")):
            wait_for(started[name], ports[name], path, folder / f"{name}.log")
        boto3.client("s3", endpoint_url=bucket, aws_access_key_id="ada", aws_secret_access_key="x").create_bucket(
            Bucket=BUCKET
        )
        mlflow = f"http://127.0.0.1:{ports['mlflow']}"
        prefect = f"http://127.0.0.1:{ports['prefect']}/api"
        make_user(mlflow, of_admin, "ada", password)
        person = {
            "MLFLOW_TRACKING_URI": mlflow,
            "MLFLOW_TRACKING_USERNAME": "ada",
            "MLFLOW_TRACKING_PASSWORD": password,
            "PREFECT_API_URL": prefect,
            **KEYS,
        }
        yield Services(mlflow, prefect, bucket, database, person)


def make_user(mlflow: str, of_admin: str, name: str, password: str) -> None:
    """Let MLflow's administrator make a login."""
    request = urllib.request.Request(
        f"{mlflow}/api/2.0/mlflow/users/create",
        json.dumps({"username": name, "password": password}).encode(),
        {
            "Content-Type": "application/json",
            "Authorization": f"Basic {base64.b64encode(f'admin:{of_admin}'.encode()).decode()}",
        },
    )
    with urllib.request.urlopen(request, timeout=30):
        pass
