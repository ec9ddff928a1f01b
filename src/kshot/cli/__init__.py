"""The command line: `kshot retrain`, `kshot plan`, `kshot data ...`, `kshot models`, `kshot schedule`, `kshot ui`.

Each verb has a module here. Heavy modules are imported only when a verb runs, so that `kshot --help` is fast.
"""

import argparse
import contextlib
import os
import signal
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from kshot import full_disk, plugins, redaction
from kshot.cli import doctor, init, plan, retrain, schedule, standard_streams, standing, sweep, terminal, ui
from kshot.cli.images import data, drift, fit_settings, tasks
from kshot.cli.parser import Parser
from kshot.cli.service import feedback, gallery, serve
from kshot.cli.versions import attest, audit, forget, models, promote, prune, reproduce
from kshot.errors import KshotError
from kshot.lifecycle.project import no_telemetry, progress, quick_end
from kshot.lifecycle.servers import loopback

DESCRIPTION = """\
kshot trains few-shot image classifiers: it versions the images, checks them, trains an
embedding, measures it on fixed few-shot episodes, registers the model in MLflow and makes it
the champion if it is not worse than the champion by more than a margin (0.5 points).

  kshot                     the state of this project, and the next command
  kshot init NAME           a project of your own in a new folder; --images FOLDER for your photographs
  kshot retrain             one retraining, from the images to the decision
  kshot sweep FILE          many retrainings, compared on the validation episodes
  kshot data add FOLDER     use your own images: one folder a class
  kshot fit-settings        settings that fit the images, each with a reason
  kshot models              the registered versions and the decisions about them
  kshot audit --model 3     the origin of a version, each link verified
  kshot attest 3 --out DIR  the evidence about it as files that anybody can check: kshot verify DIR
  kshot reproduce 3         rebuild it and compare
  kshot forget IMAGE        every place with this image; --yes deletes it there
  kshot schedule --every 1d retrain automatically, by the clock or when new data arrives
  kshot tasks FOLDER        expected accuracy on these classes, and the nearest known tasks
  kshot drift FOLDER        whether new images are like those of training
  kshot serve               serve the champion: teach it classes once, ask it many times
  kshot gallery             teach and ask a running service from a shell
  kshot feedback            label the images of logged requests, and add them to the data
  kshot doctor              find problems on this machine, and repair them
  kshot ui                  runs, models and flows in the browser
"""

EPILOG = """\
params.yaml has every setting, with a comment. Run a command in the project's folder or below it.
`kshot COMMAND --help` says more about a command.
"""

PROJECT = ("dvc.yaml", "params.yaml")  # files that identify a project's folder
INTERRUPTED = 130  # what shells report for a command that Ctrl-C ended
READER_GONE = 141  # and for one whose reader ended, as `head` does

MODULES = (  # in the order of --help
    init, retrain, plan, sweep, data, fit_settings, models, promote, audit, attest, reproduce, prune, forget,
    schedule, tasks, drift, serve, gallery, feedback, doctor, ui,
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line `arguments` (default: the process's own) and return the exit code."""
    if arguments is not None:
        return _run(arguments)
    standard_streams.open_closed()
    quick_end.prepare()
    terminal.install()
    return quick_end.noted(_run(None))


def _run(arguments: Sequence[str] | None) -> int:
    redaction.guard()
    set_by_kshot = no_telemetry.silence_telemetry()
    loopback.reach_directly()
    options = argparse.Namespace(debug=False, continues=False)
    try:
        options = parser().parse_args(arguments)
        options.set_by_kshot = set_by_kshot  # the doctor distinguishes the user's own variables from these
        if options.debug:
            os.environ["KSHOT_DEBUG"] = "1"  # so that the stages, which are separate processes, show tracebacks too
        # SIGTERM ends a command as Ctrl-C does: stages ended, lock released, nothing half-written.
        signal.signal(signal.SIGTERM, _interrupt)
        # A script's background jobs start with SIGINT ignored; `kill -INT`, which Busy recommends, must work there too.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        here = Path.cwd()
        root = here if options.outside else project_root(here)
        plugins.use_project(root)
        code: int = options.run(root, options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        kept = "finished stages are stored, run the same command to continue"
        return _fail(
            f"interrupted; {kept if options.continues else 'run the same command again'}", INTERRUPTED, options
        )
    except KshotError as error:
        return _fail(str(error), error.exit_code, options, error.block)
    except OSError as error:
        if isinstance(error, BrokenPipeError) and standard_streams.unread():
            return READER_GONE
        if options.debug:
            raise
        if full_disk.is_full(error):
            text = f"{full_disk.message(error)}; free some space and run the same command to continue"
            return _fail(text, 1, options)
        return _fail(f"{error}; --debug shows where", 1, options)
    except Exception as error:
        if options.debug:
            raise
        kind = type(error).__name__
        return _fail(f"{kind}: {error} -- a defect of kshot or of its environment; --debug shows where", 1, options)
    finally:
        standard_streams.drop_unwritten()
    return code


def parser() -> argparse.ArgumentParser:
    """Build the parser of the whole command line.

    Each verb sets `run`, a function of the root and the options, and `continues` if its finished stages are stored.
    """
    top = Parser(prog="kshot", description=DESCRIPTION, epilog=EPILOG)
    top.add_argument("--version", action=Version, nargs=0, help="show the version and exit")
    top.add_argument("--debug", action="store_true", help="show the traceback of an error")
    top.set_defaults(run=standing.run, outside=False, continues=False)
    verbs = top.add_subparsers(title="commands", metavar="COMMAND")
    for module in MODULES:
        module.add_parser(verbs)
    return top


class Version(argparse.Action):
    """`--version`, which looks up the version only when used: the look-up takes longer than all of --help."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib import metadata

        print(f"kshot {metadata.version('kshot')}")
        parser.exit()


def project_root(start: Path) -> Path:
    """Return the nearest folder at or above `start` with dvc.yaml and params.yaml. Raises KshotError."""
    for folder in (start, *start.parents):
        if _is_project(folder):
            from kshot.lifecycle.params_file import kshot_version

            kshot_version.require_not_older(folder)
            return folder
    begun = next((one for one in (start, *start.parents) if any((one / name).is_file() for name in PROJECT)), None)
    lacking = f" ({begun} would be one, and lacks {_lacks(begun)})" if begun else ""
    below = next((one.name for one in sorted(start.iterdir()) if _is_project(one)), None)
    raise KshotError(
        f"{start} is in no kshot project{lacking}; make one: kshot init NAME"
        + (f", or go to the one below: cd {below}" if below else "")
    )


def _is_project(folder: Path) -> bool:
    return all((folder / name).is_file() for name in PROJECT)


def _lacks(folder: Path) -> str:
    return next(name for name in PROJECT if not (folder / name).is_file())


def _fail(message: str, code: int, options: argparse.Namespace, block: Sequence[str] = ()) -> int:
    progress.clear()
    error = sys.exception()
    if options.debug and error is not None:
        print(redaction.traceback_of(error), end="", file=sys.stderr)
    line = f"kshot: error: {' '.join(redaction.redacted(message).split())}"
    # Wrap at 80 columns only above a block, which has that width; a message alone stays one line, for scripts.
    lines = textwrap.wrap(line, 80, subsequent_indent="  ", break_long_words=False) if block else [line]
    with contextlib.suppress(BrokenPipeError):  # nobody reads it; the exit code still says what happened
        print(*lines, *(redaction.redacted(f"  {one}".rstrip()) for one in block), sep="\n", file=sys.stderr)
    return code


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt
