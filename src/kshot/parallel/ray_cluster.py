"""Connects this process to the Ray cluster that the variable RAY_ADDRESS names, and refuses one that cannot be used.

Read in Ray 2.60: `ray.init` waits two minutes for an address where nothing listens and then ends the process, and it
replaces the handler of SIGTERM. The first is asked of the socket before, the second is undone.
"""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from kshot.errors import ParamsError

ADDRESS = "RAY_ADDRESS"
HERE = "local"  # the value of ADDRESS for a cluster of this process, which ends with it
EXAMPLE = f"{ADDRESS}=10.0.0.1:6379"
REACHED_IN = 5.0  # seconds to the head's port
OBJECTS = 100 * 2**20  # bytes for objects of a cluster of this process: nothing large goes through Ray
# Set before Ray is imported, unless a person chose otherwise: no usage statistics, and no change of what a task without
# a GPU sees, which Ray 2.60 announces with a warning otherwise.
SWITCHES = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
# Seconds that this process waits for a lost head: one of its own does not come back. Ray waits a minute, for instance
# where a service manager ends all processes of a service at once.
LOST_HEAD = {"RAY_gcs_rpc_server_reconnect_timeout_s": "5"}


@contextmanager
def connected() -> Iterator[ModuleType]:
    """The module `ray`, connected to the cluster in the block.

    Raises ParamsError if Ray is not installed, RAY_ADDRESS names no cluster, or none can be reached there.
    """
    for name, value in (SWITCHES | (LOST_HEAD if os.environ.get(ADDRESS) == HERE else {})).items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ParamsError("engine is ray, and Ray is not installed here: pip install 'kshot[ray]'") from error
    address = _address()
    before = signal.getsignal(signal.SIGTERM)
    own = {"num_cpus": os.cpu_count(), "include_dashboard": False, "object_store_memory": OBJECTS}
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level="ERROR",
            runtime_env={"env_vars": _variables()},
            **(own if address == HERE else {}),
        )
    except Exception as error:  # Ray's own is a bare Exception, where a node does not start in 30 s
        first = (str(error).splitlines() or [""])[0]
        raise ParamsError(f"the Ray cluster at {ADDRESS}={address} cannot be used: {first}") from error
    finally:
        signal.signal(signal.SIGTERM, before)
    try:
        yield ray
    finally:
        ray.shutdown()


def _variables() -> dict[str, str]:
    """The variables of every worker: where this process finds code that is not installed."""
    return {"PYTHONPATH": os.environ["PYTHONPATH"]} if os.environ.get("PYTHONPATH") else {}


def _address() -> str:
    """The cluster's address, at which something listens. Raises ParamsError."""
    found = os.environ.get(ADDRESS, "")
    if not found:
        raise ParamsError(
            f"engine is ray, and {ADDRESS} names no cluster; set it to the address of its head, such as {EXAMPLE}, "
            f"or to {HERE} for one on this machine only, or set engine: local"
        )
    if found == HERE:
        return found
    host, _, port = found.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        raise ParamsError(f"{ADDRESS} is {found!r}; needs HOST:PORT of the cluster's head, such as {EXAMPLE}")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), REACHED_IN):
            return found
    except (OSError, OverflowError) as error:
        raise ParamsError(
            f"no Ray cluster is at {ADDRESS}={found} ({error}); start its head there with `ray start --head`, "
            "or set engine: local"
        ) from error
