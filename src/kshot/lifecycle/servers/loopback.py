"""Servers on this machine are reached directly, whatever proxy the environment names.

Prefect's clients and MLflow's ask a proxy for 127.0.0.1 too where `http_proxy` is set and `no_proxy` does not except
it; behind a company's proxy nothing could be trained.
"""

import os

ADDRESSES = ("127.0.0.1", "localhost", "::1")
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
EXCEPT = "no_proxy"


def reach_directly() -> None:
    """Except this machine from the proxies of the environment, for this process and its children.

    What a person excepts already stays. Without a proxy nothing is set: on other systems than Linux a lone NO_PROXY
    would switch off the proxies of the system's settings.
    """
    if not any(os.environ.get(name) or os.environ.get(name.upper()) for name in PROXIES):
        return
    small, large = os.environ.get(EXCEPT, ""), os.environ.get(EXCEPT.upper(), "")
    # Some tools read the one name first, some the other.
    os.environ[EXCEPT] = _with_ours(small or large)
    os.environ[EXCEPT.upper()] = _with_ours(large or small)


def _with_ours(value: str) -> str:
    known = [name for name in (part.strip() for part in value.split(",")) if name]
    if "*" in known:
        return value
    return ",".join([*known, *(address for address in ADDRESSES if address not in known)])
