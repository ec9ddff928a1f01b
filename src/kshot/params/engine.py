"""Where stages ingest, embed and train and a sweep's trials run: `engine` of params.yaml, or the variable KSHOT_ENGINE.

It stands outside of the sections because no stage depends on it: where a model is trained must not change what it is.
"""

import os
from typing import Literal

from kshot.errors import ParamsError

Engine = Literal["local", "ray"]
ENGINES: tuple[Engine, ...] = ("local", "ray")
VARIABLE = "KSHOT_ENGINE"


def engine_here(written: Engine) -> Engine:
    """The engine that the variable KSHOT_ENGINE names, else `written`, the one in params.yaml.

    Raises ParamsError for a variable with another value.
    """
    named = os.environ.get(VARIABLE) or written
    for engine in ENGINES:
        if named == engine:
            return engine
    raise ParamsError(f"{VARIABLE} is {named!r}; needs one of {', '.join(ENGINES)}, or to be unset")
