import subprocess
import sys

import pytest

PREPARED = "import atexit, sys; from kshot.lifecycle.project import quick_end; quick_end.prepare(); "
# What only the interpreter's clean-up would do.
CLEANED = "last = type('Last', (), {'__del__': lambda self: print('cleaned up', flush=True)})(); "


def ended(program):
    return subprocess.run([sys.executable, "-c", PREPARED + program], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("code", [0, 7])
def test_output_and_exit_handlers_come_before_the_end_and_no_clean_up(code):
    program = CLEANED + "atexit.register(print, 'handled'); print('said'); "
    found = ended(f"{program}sys.exit(quick_end.noted({code}))")
    assert (found.returncode, found.stdout) == (code, "said\nhandled\n")


def test_log_records_that_wait_are_written():
    program = "import logging.handlers as handlers; print_it = handlers.logging.StreamHandler(sys.stdout); "
    program += "handlers.logging.getLogger().addHandler(handlers.MemoryHandler(9, target=print_it)); "
    assert ended(f"{program}handlers.logging.warning('logged'); quick_end.noted(0)").stdout == "logged\n"


def test_a_thread_ends_first():
    program = "import threading, time; threading.Thread(target=lambda: (time.sleep(0.2), print('done'))).start(); "
    assert ended(f"{program}quick_end.noted(0)").stdout == "done\n"


def test_an_exception_ends_as_usual():
    found = ended("raise ValueError('odd')")
    assert found.returncode == 1 and "ValueError: odd" in found.stderr
