"""Ends a program without the interpreter's clean-up, which visits every object of torch, MLflow and Prefect.

That took 1 s of each stage that imports torch and 2 s of `kshot retrain`, and longer on a busy machine.
"""

import atexit
import contextlib
import gc
import logging
import os
import sys

_code: int | None = None


def prepare() -> None:
    """Collect garbage rarely from now on, and end quickly; call it before anything else is imported.

    Importing MLflow's store creates some 260,000 permanent objects: scanning them repeatedly took a fifth of the time
    of a command such as `kshot models`.
    """
    gc.set_threshold(100_000, 20, 100)
    atexit.register(_end)  # exit handlers run in reverse order: this one after those of all that is imported later


def noted(code: int) -> int:
    """Return the exit code `code` of this process, which is about to end with it."""
    global _code
    _code = code
    return code


def _end() -> None:
    """End at once if the exit code is known and nothing is left to write; otherwise the interpreter ends as usual."""
    if _code is None:
        if "torch" not in sys.modules:  # otherwise its triton prints long warnings about leaks
            gc.freeze()
        return
    logging.shutdown()  # its own exit handler is older than this one
    with contextlib.suppress(OSError, ValueError):  # the interpreter reports what cannot be written
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os._exit(_code)
