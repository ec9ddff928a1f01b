"""Wraps every stage's command: one line for a person's error, and a traceback only on request."""

import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from kshot import full_disk
from kshot.errors import KshotError
from kshot.lifecycle.project.no_telemetry import silence_telemetry
from kshot.lifecycle.project.quick_end import noted
from kshot.lifecycle.stages import code_read
from kshot.params.schema import Params, load_params
from kshot.redaction import guard, redacted

BLOCK_PREFIX = "kshot:   "  # of the lines below an error, which `kshot retrain` shows without the prefix
INTERRUPTED = 130  # the shell's exit code for a command that Ctrl-C ended


def stage_main(run: Callable[[Path, Params], None]) -> NoReturn:
    """Run one stage in the current directory and exit with 0, an error's own code, or 130 if interrupted.

    KSHOT_DEBUG=1 shows tracebacks.
    """
    guard()
    silence_telemetry()
    root = Path.cwd()
    try:
        code_read.renew(root, Path(inspect.getfile(run)).stem)
        run(root, load_params(root / "params.yaml"))
    except KshotError as error:
        _fail(error, str(error), error.exit_code, error.block)
    except KeyboardInterrupt as error:
        _fail(error, "interrupted; the next run continues from the last checkpoint", INTERRUPTED)
    except OSError as error:
        if not full_disk.is_full(error):
            raise
        _fail(error, f"{full_disk.message(error)}; free some space and run again, nothing was lost", 1)
    sys.exit(noted(0))


def _fail(error: BaseException, message: str, code: int, block: tuple[str, ...] = ()) -> NoReturn:
    if os.environ.get("KSHOT_DEBUG") == "1":
        raise error
    lines = [f"kshot: error: {message}", *(f"{BLOCK_PREFIX}{line}" for line in block)]
    print(redacted("\n".join(lines)), file=sys.stderr, flush=True)
    sys.exit(noted(code))
