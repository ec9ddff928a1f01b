"""Checks of the links from a version to its origin: run, weights, data version, params, environment, episodes."""

import functools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kshot.errors import ParamsError
from kshot.first_few import first_few
from kshot.lifecycle.audit import reading
from kshot.lifecycle.audit.links.served import as_registered
from kshot.lifecycle.audit.links.tags import LATER, OURS
from kshot.lifecycle.audit.subject import DELETED, Subject
from kshot.lifecycle.data import data_versions, lost_content
from kshot.lifecycle.data.dvc_cache import folder_md5, listing, locate
from kshot.lifecycle.history.erasure_event import require_sealed
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.broken import Broken, Erased, NotRecorded
from kshot.lifecycle.project.files import Advance, file_md5
from kshot.lifecycle.tracking import store
from kshot.lifecycle.tracking.lineage import chosen_params, digest, machine, stage_inputs
from kshot.lifecycle.tracking.run_content import LONGEST_PARAM, flat
from kshot.params import renamed

# Registering adds one to the files of stage train; the names of `kshot.evaluation.inference`, which imports torch.
ADDED_LATER = {"inference.json", "answering.json"}
SAME = ("lineage", "data_version", "params_hash", "dvc_lock_hash", "episodes_hash")  # on every version and run


def model(subject: Subject) -> str:
    """Check that the version has kshot's tags. Raises NotRecorded for a version of another tool."""
    key = subject.tag("lineage")
    names = " and ".join(alias for alias, version in subject.aliases.items() if version == subject.version)
    return (
        f"version {subject.version}{f', {names}' if names else ''}, registered "
        f"{subject.registered_at:%Y-%m-%d %H:%M} UTC, lineage {key}"
    )


def run(subject: Subject) -> str:
    """Check that the run exists, its tags match the version's, and the lineage follows from its dvc.lock."""
    if not subject.run_id:
        raise NotRecorded(f"version {subject.version} names no run")
    if subject.run is None:
        raise Broken(f"run {subject.run_id} is gone from MLflow's store; bring the database back from a copy")
    if subject.run.info.lifecycle_stage == DELETED:
        what, restore = store.deleted(subject.run)
        raise Broken(f"{what} was deleted; bring it back with: {restore}")
    if subject.run.info.status != "FINISHED":
        raise Broken("the run did not finish", "FINISHED", subject.run.info.status)
    theirs = subject.run.data.tags
    needed = {f"{OURS}{name}": subject.tag(name) for name in SAME}
    shared = {tag: subject.tags[tag] for tag in sorted(subject.tags.keys() & theirs.keys() - LATER)}
    for tag, ours in {**needed, **shared}.items():
        if tag.startswith(OURS) and ours != theirs.get(tag, ""):
            raise Broken(f"version and run {subject.run_id} differ in {tag}", ours, theirs.get(tag, "") or "nothing")
    key = digest({name: stage_inputs(stage) for name, stage in subject.lock.items()})
    if key != subject.tag("lineage"):
        raise Broken("the lineage does not follow from dvc.lock", subject.tag("lineage"), key)
    return f"run {subject.run_id}, its dvc.lock is the one that was registered and gives the lineage"


def weights(subject: Subject) -> str:
    """Check that the registered files are, byte for byte, those stage train wrote. Raises Broken, naming the file."""
    if subject.pruned:
        raise NotRecorded(
            f"the model's files were pruned, {subject.pruned[:10]}; `kshot reproduce` may still build it again"
        )
    recorded = str(subject.output(layout.MODEL.as_posix())["md5"])
    folder = subject.model / "artifacts" / layout.EMBEDDING
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    trained = [name for name in files if name not in ADDED_LATER]
    found = folder_md5(folder, trained)
    if found != recorded:
        raise Broken(
            f"{_changed(subject, folder, recorded, trained)} of the registered model is not what was trained; "
            "do not serve it: `kshot rollback` to an intact version, or bring the file back from a copy",
            recorded,
            found,
        )
    return f"{first_few(trained)}: md5 {recorded.removesuffix('.dir')}, as trained"


def data(subject: Subject, advance: Advance | None) -> str:
    """Check that version, dvc.lock and data/raw.dvc name the same data, and that DVC has it. Raises Broken."""
    version, entry = subject.tag("data_version"), subject.input(layout.RAW.as_posix())
    if entry["md5"] != f"{version}.dir":
        raise Broken("the version names other data than its dvc.lock", version, entry["md5"].removesuffix(".dir"))
    name = f"{layout.RAW_DVC.name} of the run"
    pointer = reading.at(name, reading.yaml_of(name, subject.file(layout.RAW_DVC.name)), "outs", 0, "md5")
    if pointer != entry["md5"]:
        raise Broken(f"{layout.RAW_DVC.name} of the run names other data than dvc.lock", entry["md5"], pointer)
    versions = data_versions.versions(subject.root)
    known = next((one for one in versions if one.md5 == version), None)
    source = f"from {known.source}, added {known.added[:10]}" if known else "from a source that is not in the ledger"
    source += f" to data version {known.base[:8]}" if known and known.base else ""
    gone = functools.partial(lost_content.way_back, subject.root, versions, version)
    try:
        location = locate(subject.root, entry["md5"], entry.get("size"), advance=advance, gone=gone)
    except Erased as erased:
        require_sealed(erased, subject.record.events if subject.record else None)
        raise
    return f"data version {version[:8]} ({source}): {location}"


def params(subject: Subject) -> str:
    """Check that MLflow's params, the run's params.yaml and the values used according to dvc.lock agree.

    Each may use setting names of an older kshot.
    """
    name = "params.yaml of the run"
    in_run = reading.mapping(name, reading.yaml_of(name, subject.file("params.yaml")))
    used = {name: chosen_params(stage) for name, stage in subject.lock.items()}
    if digest(used) != subject.tag("params_hash"):
        raise Broken("the params in dvc.lock have not their hash", subject.tag("params_hash"), digest(used))
    values = {key: value for files in used.values() for key, value in files.get("params.yaml", {}).items()}
    today, then = _by_names_of_today(in_run), _by_names_of_today(renamed.nested(values))
    keys = [renamed.key_of(key, value) for key, value in values.items()]
    _compare("params.yaml of the run", *({k: v for key in keys for k, v in _below(one, key)} for one in (today, then)))
    ours = {name: text[:LONGEST_PARAM] for name, text in flat(today).items()}
    _compare("MLflow", renamed.recorded(subject.run.data.params) if subject.run else {}, ours)
    return f"{len(ours)} params, the same in MLflow, in params.yaml of the run and in its dvc.lock"


def environment(subject: Subject) -> str:
    """Check that the run stores its packages, and that the model requires the same versions. Raises Broken."""
    what = "environment.json of the run"
    in_run = reading.json_of(what, as_registered(subject, "environment.json").read_bytes())
    python, system = (reading.at(what, in_run, key) for key in ("python", "system"))
    listed = reading.mapping(what, reading.at(what, in_run, "packages"))
    packages = {name.lower(): version for name, version in listed.items()}
    needs = {} if subject.pruned else _needs(subject.model / "requirements.txt")
    for name, version in needs.items():
        if packages.get(name.lower()) != version:
            raise Broken(
                f"the model asks for another {name} than it was trained with",
                version,
                packages.get(name.lower(), "nothing"),
            )
    device = subject.tags.get("kshot.device", "") or "a device that is not recorded"
    where = machine(device, subject.tags.get("kshot.processes", ""))
    return (
        f"Python {python} with {len(packages)} packages on {where}, {system}; "
        f"the model asks for {len(needs)} of them by the same versions"
    )


def episodes(subject: Subject) -> str:
    """Check that the test episodes are those that were recorded, and that DVC has them. Raises Broken."""
    entry = subject.output(layout.EPISODES.as_posix())
    if entry["md5"] != subject.tag("episodes_hash"):
        raise Broken("the version names other episodes than its dvc.lock", subject.tag("episodes_hash"), entry["md5"])
    # They are few and small, so their content is hashed every time.
    try:
        location = locate(subject.root, entry["md5"], entry.get("size"), advance=lambda _: None, gone=_drawn_again)
    except Erased as error:  # episodes hold no image, and are never erased
        raise Broken(str(error)) from error
    return f"episodes {entry['md5'][:8]}: {location}"


def _drawn_again() -> str:
    return "`dvc repro episodes` draws the same again"


def _needs(path: Path) -> dict[str, str]:
    """The packages that a model requires, with their versions."""
    text = reading.text_of("requirements.txt of the model", path) if path.is_file() else ""
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))


def _by_names_of_today(params: dict[str, Any]) -> dict[str, Any]:
    try:
        return renamed.migrate(params)
    except ParamsError as error:
        raise Broken(f"the params of the run cannot be read: {error}") from error


def _below(params: dict[str, Any], key: str) -> Iterable[tuple[str, Any]]:
    """The dotted keys at and below `key`, with their values."""
    value = renamed.at(params, key)
    return renamed.leaves(value, key).items() if isinstance(value, dict) and value else [(key, value)]


def _compare(where: str, found: dict[str, Any], recorded: dict[str, Any]) -> None:
    other = sorted(key for key in found.keys() | recorded.keys() if found.get(key) != recorded.get(key))
    if other:
        raise Broken(
            f"{where} has other params than were recorded: {first_few(other)}",
            ", ".join(f"{key} {recorded.get(key)}" for key in other[:3]),
            ", ".join(f"{key} {found.get(key)}" for key in other[:3]),
        )


def _changed(subject: Subject, folder: Path, recorded: str, names: list[str]) -> str:
    """Which files have different content, as far as DVC's cache still shows it."""
    try:
        before = {entry["relpath"]: entry["md5"] for entry in listing(subject.root, recorded)}
    except Broken:
        return "a file"
    now = {name: file_md5(folder / name) for name in names}
    return first_few(sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name)))
