"""`python -m kshot.cli` is `kshot`."""

import sys

from kshot.cli import main

sys.exit(main())
