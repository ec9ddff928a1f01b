"""One module per stage of dvc.yaml; each reads its section of params.yaml and writes its files."""

import gc
import sys

if sys.argv[0] == "-m":  # while `python -m` looks for a stage's module: this process runs that stage and nothing else
    # Importing torch and pandas creates hundreds of thousands of permanent objects; scanning them again and again took
    # a sixth of the time of a short stage.
    gc.set_threshold(100_000, 20, 100)
