"""Loads the flow of a retraining: the project's own `flows/retrain.py`, else the one that kshot ships."""

import importlib.util
import inspect
import sys
import traceback
from pathlib import Path
from typing import Any

from prefect import Flow

from kshot.errors import KshotError

FILE = Path("flows/retrain.py")
MODULE = "project_retrain"  # name in sys.modules; no part of the project is a top-level package


def load(root: Path) -> "Flow[Any, Any]":
    """Load the flow `retrain` of the project at `root`. Raises KshotError if importing fails or the flow is missing.

    Modules next to it are imported from the project's folder, after all installed modules.
    """
    path = root / FILE
    if not path.is_file():
        from kshot.flows.retrain import retrain

        return retrain
    if str(root) not in sys.path:
        sys.path.append(str(root))
    spec = importlib.util.spec_from_file_location(MODULE, path)
    assert spec is not None and spec.loader is not None, "the file is there and ends in .py"
    module = sys.modules[MODULE] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise KshotError(f"{FILE}{_line(error, path)} cannot be imported: {what}; mend it, then try again") from error
    found = getattr(module, "retrain", None)
    if not isinstance(found, Flow):
        raise KshotError(f"{FILE} has no flow `retrain`; needs a function of that name under @flow, as kshot ships it")
    try:
        inspect.signature(found.fn).bind(root="", allow_unrecorded=False)
    except TypeError as error:
        raise KshotError(f"retrain of {FILE} cannot be called ({error}); needs root and allow_unrecorded") from error
    return found


def _line(error: Exception, path: Path) -> str:
    """The line of the file that raised the error, as `:12`."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f":{error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f":{lines[-1]}" if lines else ""
