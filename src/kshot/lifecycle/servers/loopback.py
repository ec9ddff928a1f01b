"""Makes clients reach servers on this machine directly, whatever proxy the environment names.

Prefect's and MLflow's clients also use a proxy for 127.0.0.1 if `http_proxy` is set and `no_proxy` does not exclude it;
behind a company's proxy nothing could be trained.
"""

import os

ADDRESSES = ("127.0.0.1", "localhost", "::1")
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
EXCEPT = "no_proxy"


def reach_directly() -> None:
    """Exclude this machine from the environment's proxies, for this process and its children.

    Existing exclusions are kept. Without a proxy nothing is set, because on systems other than Linux a NO_PROXY alone
    would disable the proxies in the system settings.
    """
    if not any(os.environ.get(name) or os.environ.get(name.upper()) for name in PROXIES):
        return
    small, large = os.environ.get(EXCEPT, ""), os.environ.get(EXCEPT.upper(), "")
    # Some tools read the lower-case name first, some the upper-case one.
    os.environ[EXCEPT] = _with_ours(small or large)
    os.environ[EXCEPT.upper()] = _with_ours(large or small)


def _with_ours(value: str) -> str:
    known = [name for name in (part.strip() for part in value.split(",")) if name]
    if "*" in known:
        return value
    return ",".join([*known, *(address for address in ADDRESSES if address not in known)])
