"""Runs DVC's commands, each in a fork of this process, which has imported DVC.

    python -P dvc_fork_server.py SOCKET

SOCKET is the number of a connected Unix socket. A request is a byte with the descriptor of the command's output, and
a line of JSON: arguments, folder, environment. The answers are two lines: the number of the command's process, which
leads a process group of its own, and its exit code. The end of the connection ends this process.
"""

import contextlib
import gc
import importlib
import json
import os
import socket
import sys
import traceback
from typing import Any, NoReturn

from dvc import cli
from dvc.cli.parser import get_main_parser

# Imported late by `dvc repro`, as of DVC 3.67; one that is missing costs time, nothing else.
LATE = (
    *("dvc.commands.repro", "dvc.repo", "dvc.repo.index", "dvc.repo.reproduce", "dvc.repo.stage", "dvc.repo.open_repo"),
    *("dvc.cachemgr", "dvc.data_cloud", "dvc.lock", "dvc.rwlock", "dvc.stage.run", "dvc.utils.strictyaml"),
    *("dvc.repo.artifacts", "dvc.repo.datasets", "dvc.repo.metrics", "dvc.repo.params", "dvc.repo.plots"),
    *("dvc_data.hashfile.db.local", "networkx", "scmrepo.git"),
)


def serve(channel: socket.socket) -> None:
    """Run one command after the other until the connection ends."""
    lines = channel.makefile("r", encoding="utf-8")
    while outputs := socket.recv_fds(channel, 1, 1)[1]:
        request = json.loads(lines.readline())
        child = os.fork()
        if child == 0:
            _run(channel, outputs[0], request)
        os.close(outputs[0])
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        channel.sendall(f"{code}\n".encode())


def _run(channel: socket.socket, output: int, request: dict[str, Any]) -> NoReturn:
    code = 255
    try:
        os.setsid()
        _send_output_to(output)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["environment"])
        channel.sendall(f"{os.getpid()}\n".encode())
        channel.close()
        code = cli.main(request["arguments"])
    except BaseException:  # nothing may return to `serve`
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _send_output_to(descriptor: int) -> None:
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.close(descriptor)


if __name__ == "__main__":
    get_main_parser()
    for name in LATE:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()  # a fork that scanned these objects would copy their memory
    # Until here the output is the first command's, which shows why an import failed.
    _send_output_to(os.open(os.devnull, os.O_WRONLY))
    with contextlib.suppress(ConnectionError):
        serve(socket.socket(fileno=int(sys.argv[1])))
    os._exit(0)
