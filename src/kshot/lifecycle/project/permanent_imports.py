"""Excludes objects that imports create from garbage collection: they stay until the process ends."""

import contextlib
import gc
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def permanent_imports() -> Iterator[None]:
    """Stop garbage collection while the block imports, and exempt all objects after it, unless it imported nothing new.

    Prefect's server or Great Expectations is hundreds of thousands of objects. Scanning them again and again, and once
    more at exit, took two fifths of the time of both. Not for a process that imports torch: what is never collected,
    its compiler reports as a leak at exit.
    """
    collects, known = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > known:
            gc.freeze()
        if collects:
            gc.enable()
