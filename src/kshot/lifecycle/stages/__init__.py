"""One module per stage of dvc.yaml; each reads its section of params.yaml and writes its files."""

import sys

if sys.argv[0] == "-m":  # while `python -m` looks for a stage's module: this process runs that stage and nothing else
    from kshot.lifecycle.project import quick_end

    quick_end.prepare()
