"""The parser of the command line: what is mistyped is named in one line, with the word that was likely meant."""

import argparse
import difflib
import re
from typing import NoReturn

CHOICE = re.compile(r"argument (?P<what>[^:]+): invalid choice: '(?P<typed>[^']*)' \(choose from (?P<known>.*)\)", re.S)
SHOWN = 8  # choices that are named where none is near


class Parser(argparse.ArgumentParser):
    """argparse's parser with shorter words for what is no choice; its subcommands' parsers are of the same class."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and end with 2; usage only where the message needs it."""
        found = CHOICE.fullmatch(message)
        if found is None:
            super().error(message)
        known = [name.strip("' ") for name in found["known"].split(",")]
        known = [name for name in known if name and name != "[]"]
        what = "command" if found["what"] == "COMMAND" else found["what"]
        near = difflib.get_close_matches(found["typed"], known, n=1, cutoff=0.5)
        more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
        hint = f"did you mean {near[0]}?" if near else f"needs one of {', '.join(known[:SHOWN])}{more}"
        self.exit(2, f"kshot: error: no {what} {found['typed']!r}; {hint} (`{self.prog} --help` explains all)\n")
