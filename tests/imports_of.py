"""What a command imports, in a process of its own that need not import MLflow first."""

import os
import sys
from pathlib import Path

from tests import ready_process


def run_without(modules: set[str], root: Path, *arguments: str) -> int:
    """The exit code of `kshot ...` in `root`; 100 if it imported one of `modules`, named on standard error."""
    return ready_process.ended(ready_process.start(_main, modules, str(root), arguments))


def _main(modules: set[str], root: str, arguments: tuple[str, ...]) -> None:
    from kshot import cli

    assert not modules & set(sys.modules), "the process that is forked has imported them"
    os.chdir(root)
    code = cli.main(list(arguments))
    found = sorted(modules & set(sys.modules))
    if found:
        print("imported:", *found, file=sys.stderr)
    sys.exit(100 if found else code)
