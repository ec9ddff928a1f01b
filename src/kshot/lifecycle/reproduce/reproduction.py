"""`kshot reproduce`: runs a version's stages again from the record, and compares with the registered results."""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kshot.errors import KshotError, NotReproduced
from kshot.lifecycle.audit.link import BROKEN, checked
from kshot.lifecycle.audit.links import code
from kshot.lifecycle.audit.links.served import served
from kshot.lifecycle.audit.subject import Subject, opened
from kshot.lifecycle.data.dvc_cache import folder_md5
from kshot.lifecycle.pipeline import graph
from kshot.lifecycle.project import layout, processes
from kshot.lifecycle.project.files import file_md5
from kshot.lifecycle.project.processes import OnOutput
from kshot.lifecycle.reproduce import comparison, difference, tree
from kshot.lifecycle.reproduce.comparison import EXACT, Accuracy, Weights
from kshot.lifecycle.reproduce.difference import Difference
from kshot.lifecycle.tracking import lineage, plugin_code
from kshot.lifecycle.tracking.code_closure import PACKAGE

IDENTICAL, WITHIN, OTHERWISE = "identical", "within tolerance", "not reproduced"
# Outputs that contain durations or dates; they are compared only through the parts that other stages read.
TIMED = (layout.TRAIN_LOG.as_posix(), layout.VALIDATION.as_posix())
TOLERANCE = 0.01  # of an accuracy; results on other machines are in docs/audit.md


@dataclass(frozen=True)
class StageAgain:
    """A stage that ran again: its duration, and the outputs that differ from those in dvc.lock."""

    name: str
    seconds: float
    unlike: tuple[str, ...]


@dataclass(frozen=True)
class Reproduction:
    """The result of rebuilding a version.

    surroundings  differences from the environment the version was made in, () on the same kind of machine
    tolerance     how much an accuracy may differ elsewhere; on the same kind of machine it may not differ
    altered       how the registered model differs from its registration, '' if it does not or nobody can tell
    """

    version: str
    run_id: str
    data_version: str
    commit: str
    stages: tuple[StageAgain, ...]
    weights: Weights
    accuracies: tuple[Accuracy, ...]
    surroundings: tuple[Difference, ...]
    tolerance: float
    altered: str = ""

    @property
    def verdict(self) -> str:
        """IDENTICAL, WITHIN or OTHERWISE."""
        if self.altered:
            return OTHERWISE
        if not self.weights.unlike and all(one.moved == 0 and abs(one.difference) <= EXACT for one in self.accuracies):
            return IDENTICAL
        # A NaN mean is never within the tolerance.
        near = all(abs(one.difference) <= self.tolerance + EXACT for one in self.accuracies)
        return WITHIN if near and self.surroundings else OTHERWISE


def reproduce(
    root: Path,
    name: str,
    *,
    tolerance: float = TOLERANCE,
    install: bool = False,
    say: Callable[[str], None] = lambda line: None,
    on_output: OnOutput = lambda text, progress: None,
) -> Reproduction:
    """Rebuild the version with that number or alias in a worktree, and compare it with the registered one.

    install    use a separate environment with the recorded packages
    say        called with a line for each step
    on_output  called with the output of the stages

    Project, registry and champion are not changed. Raises RegistryError for an unknown version, NotReproduced if an
    input of the version is missing or different, and StageFailed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        subject = opened(root, name, Path(scratch))
        kept, device = _recorded(subject)
        with tree.as_it_was(subject) as place:
            commit = tree.git(place, "rev-parse", "HEAD").strip()
            variables = difference.environment(kept, device, place)
            here = lineage.environment() | {"threads": variables.get("OMP_NUM_THREADS", "")}
            made_by, packages = code.made_by(subject), None
            if install:
                found, packages = difference.install(kept, Path(scratch) / "packages", variables, made_by)
                here = found | {"threads": here["threads"]}
            package = packages if made_by.installed in difference.INSTALLED else None
            other = () if package else difference.other_version(made_by)
            changed = difference.inputs(subject, place, package, packages)
            if changed:
                raise NotReproduced(_changed(subject, (*other, *changed)))
            version = subject.tag("data_version")
            say(f"code, params and data as the stages read them: commit {commit[:10]}, data version {version[:8]}")
            if install:
                say(f"{len(here['packages'])} packages installed as they were")
            stages = []
            for stage in graph.stages(place):
                if stage.name in subject.lock:
                    stages.append(_again(subject, place, stage.name, variables, on_output))
                    say(_stage(stages[-1]))
            devices = (
                lineage.machine(device or difference.UNKNOWN, subject.tags.get("kshot.processes", "")),
                lineage.machine(lineage.device(place), lineage.processes(place)),
            )
            return Reproduction(
                version=subject.version,
                run_id=subject.run_id,
                data_version=version,
                commit=commit,
                stages=tuple(stages),
                weights=comparison.weights(subject, place),
                accuracies=comparison.accuracies(subject, place),
                surroundings=difference.surroundings(kept, here, devices),
                tolerance=tolerance,
                altered=_altered(subject),
            )


def _recorded(subject: Subject) -> tuple[dict[str, object], str]:
    """The recorded environment and device. Raises NotReproduced if the run no longer has the record."""
    try:
        subject.tag("lineage")
        assert subject.lock
        kept = json.loads(subject.file("environment.json").read_text(encoding="utf-8"))
    except (KshotError, ValueError) as error:
        raise NotReproduced(f"version {subject.version} cannot be built again: {error}") from error
    return kept, subject.tags.get("kshot.device", "")


def _altered(subject: Subject) -> str:
    link = checked("served", lambda: served(subject))
    return link.says if link.state == BROKEN else ""


def _again(subject: Subject, place: Path, name: str, variables: dict[str, str], on_output: OnOutput) -> StageAgain:
    """Run the stage with the command in dvc.lock rather than with DVC, which would restore the original outputs."""
    began, output = time.monotonic(), ["it said nothing"]

    def hear(text: str, progress: bool) -> None:
        if not progress and text.strip():
            output.append(text)
        on_output(text, progress)

    outs = subject.lock[name].get("outs", [])
    for out in outs:
        (place / out["path"]).parent.mkdir(parents=True, exist_ok=True)
    command = ["/bin/sh", "-c", subject.lock[name]["cmd"]]
    code = processes.run(command, place, on_output=hear, env=variables)
    if code != 0:
        message = output[-1].removeprefix(graph.ERROR_PREFIX)
        raise NotReproduced(f"stage {name} of version {subject.version} ended with exit code {code}: {message}")
    written = {out["path"]: out["md5"] for out in outs if out["path"] not in TIMED}
    for dep in (dep for stage in subject.lock.values() for dep in stage.get("deps", [])):
        if any(out["path"] in TIMED and dep["path"].startswith(f"{out['path']}/") for out in outs):
            written[dep["path"]] = dep["md5"]
    unlike = tuple(path for path, md5 in written.items() if _md5(place / path) != md5)
    return StageAgain(name, round(time.monotonic() - began, 1), unlike)


def _md5(path: Path) -> str:
    if path.is_file():
        return file_md5(path)
    return folder_md5(path, [one.relative_to(path).as_posix() for one in path.rglob("*") if one.is_file()])


def _changed(subject: Subject, changed: tuple[Difference, ...]) -> str:
    more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
    first = changed[0]
    remedy = f"; --install takes kshot {first.there}, which made it" if first.what == PACKAGE else ""
    if distribution := plugin_code.distribution_of(first.what):
        remedy = f"; --install takes the {distribution} that made it, where an index has it"
    return (
        f"version {subject.version} was not built again, because what the record gives is not what the stages read: "
        f"{'; '.join(map(str, changed[:5]))}{more}; "
        f"`kshot audit --model {subject.version}` says which link it is{remedy}"
    )


def _stage(one: StageAgain) -> str:
    how = "as then" if not one.unlike else f"not as then: {', '.join(one.unlike)}"
    return f"{one.name:<9} {how} ({one.seconds:.1f} s)"
