"""Runs the service as replicas on the nodes of a Ray cluster, by Ray Serve.

Every replica is a service of its own on the shared gallery store: it follows the registry and embeds the galleries by
itself, as several `kshot serve` on one database do. Ray Serve starts a lost replica again and shares the requests out.
"""

import contextlib
import dataclasses
import importlib
import logging
import os
import signal
import socket
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from kshot.errors import KshotError, ParamsError
from kshot.lifecycle.project.private_state import private_state
from kshot.parallel.ray_cluster import connected
from kshot.parallel.ray_nodes import require_alike
from kshot.params import project_name
from kshot.serve.process import FREED_BYTES, listening
from kshot.serve.settings import PREFIX, ServeSettings

# What a replica takes over from this process, besides the settings: where the registry and the project's code are.
# Credentials of a bucket or a server are each node's own.
VARIABLES = ("MLFLOW_TRACKING_URI", "PYTHONPATH", "OMP_NUM_THREADS")
ACTOR = "kshot-serve"  # its name, and its namespace
ENDED_IN = 5.0  # seconds for a command that ended a moment ago to leave the cluster


class Replica:
    """One replica: Ray Serve calls `__serve_build_asgi_app__` in its process."""

    def __init__(self, root: str, settings: ServeSettings) -> None:
        self.root, self.settings = root, settings

    def __serve_build_asgi_app__(self) -> Any:
        from kshot.nets.memory import keep_freed_memory
        from kshot.serve.app import create_app
        from kshot.serve.rest.json_log import log_to_stderr
        from kshot.serve.service import open_service

        keep_freed_memory(FREED_BYTES)
        os.chdir(self.root)
        service = open_service(Path(self.root), self.settings)
        log_to_stderr()
        return create_app(service)


def serve_on_ray(root: Path, settings: ServeSettings, replicas: int) -> None:
    """Serve the project at `root` by so many replicas; returns after a stop signal, when they have ended.

    Raises ParamsError for a cluster that cannot be used and for a store that its nodes do not share, and KshotError as
    `process.serve` does.
    """
    if replicas < 1:
        raise ParamsError(f"--replicas is {replicas}; needs at least 1")
    # Ray's proxy stands between client and service: whether a client is on this machine is not certain.
    settings = dataclasses.replace(settings, require_key=True)
    name = project_name.of(root)
    with connected() as ray:
        serve = _ray_serve()
        require_alike(ray, private_state(root))
        _require_shared_store(ray, settings)
        _require_model(root, settings)
        # It ends with this command, whatever ends that: Ray ends the actors of a driver that is gone.
        command = _only_command(ray, name)
        _require_free(serve, settings, name)
        stop = threading.Event()
        before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            serve.start(proxy_location="EveryNode", http_options={"host": settings.host, "port": settings.port})
            _deploy(serve, root, settings, replicas, name, _gpus(ray, settings))
            print(
                f"serving {name} ({settings.alias}) by {replicas} {'replica' if replicas == 1 else 'replicas'} of Ray "
                f"Serve, at http://{settings.host}:{settings.port} on every node with a replica; Ctrl-C stops them",
                flush=True,
            )
            stop.wait()
        finally:
            _end(serve, name)
            ray.kill(command)
            for number, handler in before.items():
                signal.signal(number, handler)


def _ray_serve() -> ModuleType:
    try:
        found = importlib.import_module("ray.serve")
    except ImportError as error:
        raise ParamsError("Ray Serve is not installed here: pip install 'kshot[pipeline,serve,ray-serve]'") from error
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    return found


def _require_shared_store(ray: ModuleType, settings: ServeSettings) -> None:
    """SQLite is for one machine: its locks do not hold on a file system that several share."""
    nodes = sum(node["Alive"] for node in ray.nodes())
    if nodes > 1 and (settings.database is None or settings.database.startswith("sqlite")):
        raise ParamsError(
            f"the Ray cluster has {nodes} nodes, and the galleries' database is SQLite, which is for one machine; name "
            "a PostgreSQL server: --database postgresql://USER:PASSWORD@HOST/NAME"
        )


def _require_model(root: Path, settings: ServeSettings) -> None:
    """Open the service here once: what it refuses is one line here, and a page of Ray's log on a node."""
    from kshot.serve.service import open_service

    open_service(root, settings).close()


class ServingCommand:
    """The actor that marks the cluster as served by a running command."""

    def __init__(self, text: str) -> None:
        self.text = text

    def description(self) -> str:
        """Return which project is served, by which process of which machine."""
        return self.text


def _only_command(ray: ModuleType, name: str) -> Any:
    """The actor of this command, the only one on the cluster. Raises KshotError while another command serves there.

    Ray gives the actor's name once, so that of two commands that begin at the same moment one is refused.
    """
    made = ray.remote(num_cpus=0, max_restarts=-1)(ServingCommand).options(name=ACTOR, namespace=ACTOR)
    text = f"{name}, by process {os.getpid()} on {socket.gethostname()}"
    deadline = time.monotonic() + ENDED_IN
    while True:
        try:
            return made.remote(text)
        except ValueError as error:  # the name is taken; Ray frees that of a killed command within a second
            if time.monotonic() > deadline:
                raise KshotError(
                    f"this Ray cluster serves {_description(ray)}; a cluster serves one project, by one command: end "
                    "that one first, with Ctrl-C where it runs"
                ) from error
        time.sleep(0.5)


def _description(ray: ModuleType) -> str:
    try:
        found = ray.get_actor(ACTOR, namespace=ACTOR)
        return str(ray.get(found.description.remote(), timeout=ENDED_IN))
    except (ValueError, ray.exceptions.RayError):  # it ended a moment ago, or its node was lost
        return "a project already"


def _end(serve: ModuleType, name: str) -> None:
    """End the replicas, and Ray Serve itself unless the cluster has applications of others."""
    if set(serve.status().applications) - {name}:
        with contextlib.suppress(TimeoutError):  # Ray ends them in the background
            serve.delete(name)
    else:
        serve.shutdown()


def _require_free(serve: ModuleType, settings: ServeSettings, name: str) -> None:
    """Raise KshotError if the cluster serves something else, or the port is taken.

    The replicas of a command that was killed are still there, and are replaced.
    """
    there = sorted(serve.status().applications)
    if not there:
        listening(settings.host, settings.port).close()
    elif there != [name]:
        raise KshotError(f"this Ray cluster serves {', '.join(there)} already; end that first: `serve shutdown`")


def _deploy(serve: ModuleType, root: Path, settings: ServeSettings, replicas: int, name: str, gpus: int) -> None:
    own = {variable: os.environ[variable] for variable in os.environ if variable.startswith(PREFIX)}
    variables = {**own, **{one: os.environ[one] for one in VARIABLES if os.environ.get(one)}}
    deployment = serve.deployment(
        name="replica",
        num_replicas=replicas,
        ray_actor_options={"num_cpus": 1, "num_gpus": gpus, "runtime_env": {"env_vars": variables}},
        graceful_shutdown_timeout_s=settings.stop_seconds,
    )(serve.ingress()(Replica))
    try:
        serve.run(deployment.bind(str(root.resolve()), settings), name=name, route_prefix="/")
    except RuntimeError as error:
        first = next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), "")
        raise KshotError(f"Ray Serve could not start the replicas ({first}); its logs on the nodes say more") from error


def _gpus(ray: ModuleType, settings: ServeSettings) -> int:
    return int(settings.device in ("auto", "cuda") and ray.cluster_resources().get("GPU", 0) > 0)
