import subprocess
import sys

import pytest

# The peak of the process tells whether blocks come from mmap: handed back they are counted once each time.
PROGRAM = """
import resource, sys
import numpy as np
from kshot.nets.memory import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else None
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(4_000_000)
before = faults()
for _ in range(20):
    np.ones(4_000_000)
print(kept, faults() - before)
"""

FREED_AGAIN = """
from kshot.nets.memory import keep_freed_memory
import numpy as np
kept = keep_freed_memory(2**25)
def megabytes():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 // 10**6
before = megabytes()
np.ones(50_000_000)
print(kept, megabytes() - before)
"""


def run(mode, program=PROGRAM):
    out = subprocess.run([sys.executable, "-c", program, mode], capture_output=True, text=True, check=True).stdout
    kept, faults = out.split()
    return kept, int(faults)


@pytest.mark.skipif(sys.platform != "linux", reason="sets a limit of glibc's malloc, which other systems lack")
def test_freed_memory_is_not_faulted_in_again():
    kept, faults = run("keep")
    if kept == "False":
        pytest.skip("this C library has no mallopt")
    _, default = run("default")
    assert faults < default / 10


@pytest.mark.skipif(sys.platform != "linux", reason="sets a limit of glibc's malloc, which other systems lack")
def test_what_is_free_beyond_the_limit_goes_back_to_the_system():
    kept, megabytes = run("", FREED_AGAIN)
    if kept == "False":
        pytest.skip("this C library has no mallopt")
    assert megabytes < 150  # of 400
