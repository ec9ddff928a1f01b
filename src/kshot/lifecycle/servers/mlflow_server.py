"""MLflow's pages and API over a project's records, behind kshot's guard, on 127.0.0.1 only.

    MLFLOW_BACKEND_STORE_URI=STORE python -P -m kshot.lifecycle.servers.mlflow_server ARTIFACTS PORT HOME

The store's address may contain a password, which a command line would show to every user of the machine.

`mlflow server` starts its application in a separate process and does not accept a guard. So the application is started
here in the same way, as read in mlflow 3.17.2, cli/__init__.py (`server`) and server/__init__.py (`_run_server`).
"""

import os
import sys
from pathlib import Path
from typing import cast

from kshot.lifecycle.servers.guard import App, guarded
from kshot.lifecycle.servers.server_token import token

STORE = "MLFLOW_BACKEND_STORE_URI"
# Eight processes of MLflow's server that periodically judge language models; kshot has no use for them.
NO_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def main(store: str, artifacts: str, port: int, home: Path) -> None:
    """Serve until interrupted."""
    import uvicorn

    app = guarded(application(store, artifacts, port), token(home), checks_token=False)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


def application(store: str, artifacts: str, port: int) -> App:
    """Return MLflow's application over `store`, with artifacts below the folder `artifacts`."""
    own = f"127.0.0.1:{port}"
    os.environ.update(
        NO_JOBS,
        # MLflow's own checks, too; its default hosts have patterns such as 192.168.*, which anybody's name can match.
        MLFLOW_SERVER_ALLOWED_HOSTS=f"{own},localhost:{port}",
        MLFLOW_SERVER_CORS_ALLOWED_ORIGINS=f"http://{own}",
        MLFLOW_SERVER_X_FRAME_OPTIONS="SAMEORIGIN",
        MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE="false",
    )
    from mlflow.server import constants
    from mlflow.server.handlers import initialize_backend_stores

    root = "mlflow-artifacts:/"  # for experiments created on its pages
    os.environ.update(
        {
            constants.BACKEND_STORE_URI_ENV_VAR: store,
            constants.REGISTRY_STORE_URI_ENV_VAR: store,
            constants.ARTIFACT_ROOT_ENV_VAR: root,
            constants.ARTIFACTS_DESTINATION_ENV_VAR: artifacts,
            constants.SERVE_ARTIFACTS_ENV_VAR: "true",
            # Otherwise the code of scorers in the store would be run.
            "_MLFLOW_IN_JOB_EXECUTOR": "false",
        }
    )
    initialize_backend_stores(store, store, root)
    from mlflow.server.fastapi_app import app

    return cast(App, app)


if __name__ == "__main__":
    main(os.environ[STORE], sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
