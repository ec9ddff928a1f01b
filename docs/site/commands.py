"""The reference of commands: a Markdown page for each command of the command line, from its own parser."""

import argparse
import re
import textwrap
from collections.abc import Iterator

SPECIAL = re.compile(r"[\\<>*_\[\]#]")
CODE = re.compile(r"(`[^`]*`)")


def command_pages(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Name to Markdown, for each command of `parser`; its subcommands are on the command's page."""
    return {name: "\n".join(_sections(command, text, 1)) for name, command, text in subcommands(parser)}


def index_page(parser: argparse.ArgumentParser) -> str:
    """Markdown of the page that names all commands, with what belongs to none of them."""
    names = [f"| [`{parser.prog} {name}`]({name}.md) | {_markdown(text)} |" for name, _, text in subcommands(parser)]
    return "\n".join(
        [
            "# Commands",
            "",
            "| command | |",
            "|---|---|",
            *names,
            "",
            "```{toctree}",
            ":hidden:",
            "",
            *(name for name, _, _ in subcommands(parser)),
            "```",
            "",
            *list(_options(parser)),
        ]
    )


def subcommands(parser: argparse.ArgumentParser) -> list[tuple[str, argparse.ArgumentParser, str]]:
    """Name, parser and one line of help for each subcommand, in the order of the help."""
    # argparse has no public way to its subparsers: read in Python 3.11 to 3.14.
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            lines = {choice.dest: choice.help or "" for choice in action._choices_actions}
            return [(name, command, lines.get(name, "")) for name, command in action.choices.items() if name in lines]
    return []


def _sections(parser: argparse.ArgumentParser, text: str, level: int) -> Iterator[str]:
    yield from (f"{'#' * level} {parser.prog}", "")
    yield from (*_prose(parser.description or text), "")
    usage = parser.format_usage().removeprefix("usage: ").rstrip()
    yield from ("```text", textwrap.dedent("       " + usage), "```", "")
    yield from _options(parser)
    yield from _prose(parser.epilog or "")
    for _, command, line in subcommands(parser):
        yield ""
        yield from _sections(command, line, level + 1)


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    formatter = parser._get_formatter()
    for action in parser._actions:
        hidden = isinstance(action, argparse._SubParsersAction | argparse._HelpAction)
        if hidden or action.help == argparse.SUPPRESS:
            continue
        name = formatter._format_action_invocation(action)
        text = formatter._expand_help(action) if action.help else "(no help)"
        yield from (f"`{name}`", f": {_markdown(' '.join(text.split()))}", "")


def _prose(text: str) -> Iterator[str]:
    """Paragraphs of a description, and indented lines as a block."""
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        lines = paragraph.split("\n")
        while lines and not lines[0].startswith("  "):
            yield _markdown(lines.pop(0))
        if lines:
            yield from ("", "```text", *textwrap.dedent("\n".join(lines)).split("\n"), "```")
        yield ""


def _markdown(text: str) -> str:
    return "".join(part if CODE.fullmatch(part) else SPECIAL.sub(r"\\\g<0>", part) for part in CODE.split(text))
