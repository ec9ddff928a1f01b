"""Decides which versions are kept, and which objects of DVC's cache they and git need. In doubt, nothing is deleted."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kshot.errors import KshotError, RegistryError
from kshot.lifecycle.audit.subject import Subject, of
from kshot.lifecycle.data import data_names, data_versions, working_copy
from kshot.lifecycle.data.dvc_cache import cache_of, cached_listing
from kshot.lifecycle.history import history, history_run
from kshot.lifecycle.history.champions import champion_periods
from kshot.lifecycle.history.event_chain import broken
from kshot.lifecycle.history.events import CHALLENGER, CHAMPION
from kshot.lifecycle.params_file.settings import PARAMS
from kshot.lifecycle.pipeline import new_data, schedule
from kshot.lifecycle.project.broken import Broken
from kshot.lifecycle.project.dvc_repository import dvc_repository
from kshot.lifecycle.prune import unregistered
from kshot.lifecycle.tracking import store
from kshot.params.schema import load_params

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

SETTLED = ("refused", "rejected", "expired")  # decisions after which a version that was never champion can go
FOLDER = ".dir"
HERE = "the working tree"


@dataclass(frozen=True)
class Version:
    """A registered version, as far as pruning is concerned.

    why     why it is kept, '' if it is not
    locked  md5s in its dvc.lock that its stages read and wrote, without code; None if dvc.lock is gone
    """

    number: str
    data_version: str
    decision: str
    why: str
    locked: frozenset[str] | None


def versions(root: Path) -> tuple[Version, ...]:
    """Every version, oldest first, and why it is kept.

    Raises RegistryError if the history does not say who was champion, or if a champion's record is gone.
    """
    with store.translated_errors(store.connect(root)):
        client = store.client()
        record = history.read(client, root)
    unsettled = "" if record.is_consistent else record.trouble
    if problems := [*filter(None, [unsettled]), *broken(record.events, record.aliases)]:
        raise RegistryError(
            f"the history of promotions does not say which models were champion: {problems[0]}; nothing is deleted "
            "before it does: `kshot models` puts in order what it can"
        )
    with store.translated_errors(store.connect(root)):
        found = sorted(client.search_model_versions(store.of_project(root)), key=lambda one: int(one.version))
        named = unregistered.champions(client, root)
        chosen = _chosen(root, client)
        known = [_version(root, client, one, record, {run for _, run in named}, chosen) for one in found]
        runs = {str(one.run_id) for one in found}
        return (*known, *(_gone(client, version, run) for version, run in named if run not in runs))


def needed(root: Path, cache: Path, known: tuple[Version, ...]) -> frozenset[str]:
    """The objects of DVC's `cache` that kept versions, the working tree, branches, tags and data versions need.

    These data versions are those that have a name, that the schedule uses, and that wait for their retraining.

    Raises RegistryError if it cannot be determined which objects are a kept version's data.
    """
    here, named = working_copy.tracked(root), _named_by_git(root)
    data = {*data_names.names(root).values(), *([here.md5] if here else []), *_scheduled(root)}
    roots = {*named, *(f"{md5}{FOLDER}" for md5 in data)}
    for version in known:
        if version.why:
            roots |= version.locked or frozenset()
            roots |= {f"{version.data_version}{FOLDER}"} if version.data_version else set()
    must = {oid: f"data version {oid[:8]}, which {by} names," for oid, by in named.items() if by}
    for version in known:
        if version.why and version.data_version:
            must[f"{version.data_version}{FOLDER}"] = f"the data of version {version.number}"
    found = set()
    for oid in roots:
        try:
            found |= expanded(cache, oid)
        except (Broken, OSError) as error:
            # A stage's output without its listing is useless and can be made again; data cannot.
            if oid in must:
                lost = "its listing is gone from DVC's cache; `dvc fetch` brings it back where a remote has it"
                raise RegistryError(
                    f"{must[oid]} cannot be distinguished from the rest: "
                    f"{error if isinstance(error, Broken) else lost}; nothing is deleted before"
                ) from error
    return frozenset(found)


def expanded(cache: Path, oid: str) -> set[str]:
    """An object and, for a folder, the objects in it. Raises Broken or OSError if its listing is damaged or gone."""
    if not oid.endswith(FOLDER):
        return {oid}
    return {oid} | {entry["md5"] for entry in cached_listing(cache, oid)}


def _gone(client: "MlflowClient", number: str, run_id: str) -> Version:
    """A champion that a history names and that is no longer registered: its run still names its inputs."""
    with tempfile.TemporaryDirectory() as scratch:
        data, locked = unregistered.locked(client, number, run_id, Path(scratch))
    return Version(f"{number} of run {run_id[:8]}", data, "", "a champion once, registered no more", locked)


def _chosen(root: Path, client: "MlflowClient") -> dict[str, str]:
    """The versions that a person chose, with the reason: by an alias of their own, or as gate.reference."""
    model = history_run.registered(client, root)
    aliases = {str(version): f"alias {alias}" for alias, version in (model.aliases if model else {}).items()}
    reference = load_params(root / PARAMS).gate.reference
    return {**aliases, str(reference): "gate.reference"} if isinstance(reference, int) else aliases


def _scheduled(root: Path) -> set[str]:
    """The data versions that the schedule uses or that wait for their retraining."""
    waiting = {version.md5 for version in new_data.read(root).versions if version.ended is None}
    kept = schedule.read(root)
    return waiting if kept is None or kept.data is None else {*waiting, data_versions.find(root, kept.data).md5}


def _version(
    root: Path,
    client: "MlflowClient",
    one: "ModelVersion",
    record: history.Record,
    champions: set[str],
    chosen: dict[str, str],
) -> Version:
    """`champions`: the runs of the versions that any history names as champion. `chosen`: see `_chosen`."""
    number, decision = str(one.version), one.tags.get("kshot.decision", "")
    once = {period.version for period in champion_periods(record.events)}
    once |= {number} if one.run_id in champions else set()
    why = _why(number, decision, record.aliases, once) or chosen.get(number, "")
    locked = None
    try:
        with tempfile.TemporaryDirectory() as scratch:
            locked = _locked(of(root, client, one, record.aliases, record, Path(scratch)))
    except store.Unreachable:
        raise
    except KshotError as error:
        if number in once:
            raise RegistryError(
                f"it is not known what version {number}, {why}, was trained on: {error}; nothing is deleted before "
                "its run is whole again"
            ) from error
    return Version(number, one.tags.get("kshot.data_version", ""), decision, why, locked)


def _why(number: str, decision: str, aliases: dict[str, str], once: set[str]) -> str:
    if aliases.get(CHAMPION) == number:
        return "the champion"
    if number in once:
        return "a champion once"
    if aliases.get(CHALLENGER) == number:
        return "the challenger"
    return "" if decision in SETTLED else f"it is {decision}" if decision else "not decided about"


def _locked(subject: Subject) -> frozenset[str]:
    return unregistered.named_by(subject.lock)


def _named_by_git(root: Path) -> dict[str, str]:
    """The objects named in .dvc files and dvc.lock, in the working tree and at the tip of every branch and tag.

    For data the value is who names it; '' for outputs of stages, which can be made again. DVC's own `used_objs` ends
    with an error where the listing of one output is gone, as `kshot forget` leaves it. Read in DVC 3.67.
    """
    from dvc.exceptions import DvcException

    found: dict[str, str] = {}
    by = HERE
    try:
        with dvc_repository(root) as repo:
            git = not repo.config["core"].get("no_scm")
            # When asked for branches, DVC leaves out the working tree if there is no commit yet.
            for options in ({}, {"all_branches": True, "all_tags": True}) if git else ({},):
                for revision in repo.brancher(**options):
                    by = f"git's {revision}" if revision not in ("", "workspace") else HERE
                    for out in repo.index.outs:
                        if out.use_cache and out.hash_info and out.hash_info.value:
                            is_data = out.stage.is_data_source
                            found[out.hash_info.value] = found.get(out.hash_info.value) or (by if is_data else "")
    except DvcException as error:
        raise RegistryError(
            f"DVC cannot say what {by} needs: {' '.join(str(error).split())}; nothing is deleted before that is mended"
        ) from error
    return found


def own_cache(root: Path) -> Path | None:
    """The object folder of DVC's cache; None if it is outside the project, where others may need it."""
    cache = cache_of(root).resolve()
    return cache if cache.is_relative_to(root.resolve()) else None
