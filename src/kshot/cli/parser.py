"""The parser of the command line: reports a wrong or missing argument in one line, with what to type instead."""

import argparse
import difflib
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from kshot.first_few import first_few

CHOICE = re.compile(r"argument (?P<what>[^:]+): invalid choice: '(?P<typed>[^']*)' \(choose from (?P<known>.*)\)", re.S)
MISSING = re.compile(r"the following arguments are required: (?P<names>.*)")
ONE_OF = re.compile(r"one of the arguments (?P<names>.*) is required")
VALUE = re.compile(r"argument (?P<what>[^:]+): expected (one|at least one) argument")
UNKNOWN = re.compile(r"unrecognized arguments: (?P<typed>\S+).*", re.S)
# Names that other programs use for kshot's commands.
ELSEWHERE = {"list": "versions", "ls": "versions", "checkout": "restore", "remove": "untag", "train": "retrain"}
SHOWN = 8  # choices listed if none is similar


class Parser(argparse.ArgumentParser):
    """argparse's parser with shorter messages; its subcommands' parsers are of the same class.

    Descriptions keep their line breaks.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse unknown arguments here, so that the message names the subcommand and its options."""
        self._typed = sys.argv[1:] if args is None else list(args)
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return found, rest

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Exit as argparse does, but write standard output first: `main` catches the error of that."""
        sys.stdout.flush()
        super().exit(status, message)

    def _print_message(self, message: str, file: Any = None) -> None:
        if file is sys.stdout:  # argparse ignores an error there, and `kshot --help > FILE` would say nothing of it
            print(message, end="", file=file)
        else:
            super()._print_message(message, file)

    def error(self, message: str) -> NoReturn:
        """Print in one line what is wrong and what to type, and exit with code 2."""
        self.exit(2, f"kshot: error: {self._message(message)} (`{self.prog} --help` explains all)\n")

    def _message(self, message: str) -> str:
        """Rewrite argparse's `message` as what happened and what is needed; unknown messages stay unchanged."""
        usage = " ".join(self.format_usage().removeprefix("usage: ").split()).replace(" [-h]", "")
        if found := CHOICE.fullmatch(message):
            known = [name.strip("' ") for name in found["known"].split(",")]
            what = "command" if found["what"] == "COMMAND" else found["what"]
            return f"no {what} {found['typed']!r}; {_choice(found['typed'], [k for k in known if k and k != '[]'])}"
        if found := UNKNOWN.fullmatch(message):
            options = re.findall(r"--([a-z][a-z-]*)", usage)  # compared without the dashes, which all have in common
            near = difflib.get_close_matches(found["typed"].removeprefix("--"), options, n=1)
            hint = f"did you mean --{near[0]}?" if near and found["typed"].startswith("-") else f"write {usage}"
            if found["typed"] == "--debug":
                hint = f"it comes before the command: kshot --debug{self.prog.removeprefix('kshot')}"
            return f"`{self.prog}` takes no {found['typed']!r}; {hint}"
        if found := MISSING.fullmatch(message):
            if unknown := self._first_unknown(usage):  # argparse stops at what is missing, before it looks at these
                return self._message(f"unrecognized arguments: {unknown}")
            return f"{found['names'].replace(', ', ' and ')} missing; write {usage}"
        if found := ONE_OF.fullmatch(message):
            return f"`{self.prog}` needs one of {', '.join(found['names'].split())}"
        if found := VALUE.fullmatch(message):
            return f"{found['what']} needs a value; write {usage}"
        return message

    def _first_unknown(self, usage: str) -> str:
        """The first option that was typed and that `usage` does not have, not even as the beginning of one."""
        options = [*re.findall(r"(?<![\w-])--?[a-zA-Z][a-z-]*", usage), "-h", "--help"]
        for typed in self._typed[: self._typed.index("--") if "--" in self._typed else None]:
            name = typed.partition("=")[0]
            if re.match(r"--?[a-zA-Z]", name) and not any(option.startswith(name) for option in options):
                return name
        return ""


def _choice(typed: str, known: Sequence[str]) -> str:
    """The likely intended one of `known`, else the first SHOWN of them."""
    also = {word: name for word, name in ELSEWHERE.items() if name in known}
    if near := difflib.get_close_matches(typed, [*known, *also], n=1, cutoff=0.5):
        return f"did you mean {also.get(near[0], near[0])}?"
    return f"needs one of {first_few(known, SHOWN)}"
