"""Standard input, output and error that are not as programs expect: closed by the caller, or read by nobody."""

import os
import select
import sys
from typing import TextIO


def open_closed() -> None:
    """Open /dev/null for each standard stream that the caller closed, as `>&-` in a shell does.

    Otherwise the next file that is opened, such as a database, would get the stream's number and its output.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def unread() -> bool:
    """Whether the reader of standard output or error has gone; what is left for it is then dropped."""
    gone = [stream for stream in (sys.stdout, sys.stderr) if _has_no_reader(stream)]
    for stream in gone:
        _drop(stream)
    return bool(gone)


def drop_unwritten() -> None:
    """Drop output that cannot be written: at exit the interpreter would try again, and end with code 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _drop(stream)


def _has_no_reader(stream: TextIO) -> bool:
    pipe = select.poll()
    pipe.register(stream.fileno(), 0)
    return any(event & select.POLLERR for _, event in pipe.poll(0))


def _drop(stream: TextIO) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
