"""The settings of the gallery service, from the command line and from the environment.

They are no section of params.yaml: they describe a machine, not a model, and a change must not mark a stage as changed.
Every field can be set by an option of `kshot serve` or by a variable, such as KSHOT_SERVE_PORT for `port`.
"""

import dataclasses
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from kshot.errors import ParamsError

PREFIX = "KSHOT_SERVE_"
MIB = 2**20
ORIGIN = re.compile(r"https?://[a-z0-9.\-]+(:[0-9]+)?|https?://\[[0-9a-f:]+\](:[0-9]+)?")  # as browsers send it

LAST_PORT = 65535


@dataclass(frozen=True)
class ServeSettings:
    """The address of the service, the served alias, and the limits of a request.

    host, port           the address; other than loopback, every client needs a key
    hosts                names by which clients may address it, besides loopback and plain IP addresses
    origins              sites such as https://shop.example.org whose pages may ask by script (CORS), always with a key
    alias                the alias of the registry that it serves and follows
    shadow               an alias that predicts too, off the request's path; None for none
    database             SQLAlchemy URL of the store; None: SQLite in .kshot/serve/
    images               fsspec address of the images; None: a folder in .kshot/serve/
    device               auto, cpu, cuda or mps
    require_key          whether loopback clients need a key, too: set it behind a proxy on this machine that adds no
                         Forwarded or X-Forwarded-For header
    body_bytes           of one request
    import_bytes         of one imported archive
    image_pixels         of one image
    images_per_request   taught or recognised at once
    requests_per_second  by one key, or by one address without a key; 0 for no limit
    name_characters      of a gallery's or class's name
    poll_seconds         between two looks at the registry
    batch_images         embedded at once
    batch_wait_ms        how long images that had to wait also wait for those that another request is decoding
    stop_seconds         how long a stop waits for requests under way
    log                  which recognised images are logged for feedback: off, all, unknown, sample
    log_share            of the requests, for `sample`
    log_images           kept at most; the oldest without a label go first
    log_days             kept at most
    """

    host: str = "127.0.0.1"
    port: int = 8000
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    alias: str = "champion"
    shadow: str | None = None
    database: str | None = None
    images: str | None = None
    device: str = "auto"
    require_key: bool = False
    body_bytes: int = 64 * MIB
    import_bytes: int = 2048 * MIB
    image_pixels: int = 50_000_000
    images_per_request: int = 64
    requests_per_second: float = 200.0
    name_characters: int = 200
    poll_seconds: float = 3.0
    batch_images: int = 32
    batch_wait_ms: float = 0.0
    stop_seconds: int = 30
    log: Literal["off", "all", "unknown", "sample"] = "off"
    log_share: float = 0.1
    log_images: int = 10_000
    log_days: float = 90.0


LEAST = {
    **dict.fromkeys(("body_bytes", "import_bytes", "image_pixels", "images_per_request", "name_characters"), 1),
    **dict.fromkeys(("batch_images", "stop_seconds", "log_images"), 1),
    **dict.fromkeys(("requests_per_second", "batch_wait_ms", "log_share", "log_days", "port"), 0),
    "poll_seconds": 0.05,
}


def settings_from(environment: Mapping[str, str], given: Mapping[str, Any] | None = None) -> ServeSettings:
    """The settings: those in `given` that are not None, else those of the environment, else the defaults.

    Raises ParamsError for a variable that is no setting, and for a value that does not fit.

    >>> settings_from({"KSHOT_SERVE_PORT": "9000"}, {"host": "0.0.0.0", "port": None}).port
    9000
    """
    types = typing.get_type_hints(ServeSettings)
    values: dict[str, Any] = {}
    for variable, text in environment.items():
        if variable.startswith(PREFIX) and text:
            name = variable.removeprefix(PREFIX).lower()
            if name not in types:
                raise ParamsError(f"{variable} is no setting of the service; needs one of {', '.join(sorted(types))}")
            values[name] = _read(variable, text, types[name])
    values |= {name: value for name, value in (given or {}).items() if value is not None}
    settings = dataclasses.replace(ServeSettings(), **values)
    for name, least in LEAST.items():
        if not dataclasses.asdict(settings)[name] >= least:
            raise ParamsError(f"the service's {name} is {dataclasses.asdict(settings)[name]}; needs at least {least}")
    for origin in settings.origins:
        if ORIGIN.fullmatch(origin) is None:
            raise ParamsError(
                f"the service's origins hold {origin!r}; each needs a scheme and a host, such as https://shop.example.org"
            )
    if settings.port > LAST_PORT:  # the system would take another one, that of the lower 16 bits
        raise ParamsError(f"the service's port is {settings.port}; needs {LAST_PORT} at most")
    for name, alias in (("alias", settings.alias), ("shadow", settings.shadow or "")):
        if alias.isdecimal():
            raise ParamsError(f"the service's {name} is {alias}, a version; needs an alias, such as challenger")
    if settings.log not in typing.get_args(types["log"]):
        raise ParamsError(f"the service's log is {settings.log!r}; needs off, all, unknown or sample")
    return settings


def _read(variable: str, text: str, kind: Any) -> Any:
    if kind == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if kind is bool:
        if text.lower() not in ("true", "false", "1", "0"):
            raise ParamsError(f"{variable} is {text!r}; needs true or false")
        return text.lower() in ("true", "1")
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            raise ParamsError(f"{variable} is {text!r}; needs a number") from None
    return text
