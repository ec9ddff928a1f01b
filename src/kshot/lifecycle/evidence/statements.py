"""One in-toto statement (v1, predicate SLSA provenance v1) a stage, from the dvc.lock that was registered."""

from typing import Any

from kshot.lifecycle.tracking.lineage import chosen_params, code_files, stage_inputs

STATEMENT, PREDICATE = "https://in-toto.io/Statement/v1", "https://slsa.dev/provenance/v1"
BUILD, BUILDER = "urn:kshot:dvc-stage:1", "urn:kshot:retrain"
DIRECTORY = "dvcDirectoryMd5"  # md5 of DVC's listing of a folder, without its ".dir"


def statements(lock: dict[str, Any], run_id: str, commit: str, made_by: str) -> dict[str, dict[str, Any]]:
    """File name to statement, in the order in which the stages ran: "statements/01-ingest.json".

    commit   the git commit of the project, '' for none
    made_by  the version of kshot that ran the stages, '' if nobody recorded it
    """
    return {
        f"statements/{place:02d}-{name}.json": _statement(name, lock[name], run_id, commit, made_by)
        for place, name in enumerate(in_order(lock), 1)
    }


def in_order(lock: dict[str, Any]) -> list[str]:
    """The stages in the order of dvc.lock, but each after the stages that write its inputs."""
    writes = {out["path"]: name for name, stage in lock.items() for out in stage.get("outs", [])}
    left, ordered = list(lock), list[str]()
    while left:
        ready = [name for name in left if not _before(name, lock[name], writes) & set(left)]
        ordered.append(ready[0] if ready else left[0])
        left.remove(ordered[-1])
    return ordered


def _before(name: str, stage: dict[str, Any], writes: dict[str, str]) -> set[str]:
    """The other stages that write an input of this one."""
    read = [dep["path"] for dep in stage.get("deps", [])]
    return {
        other
        for path, other in writes.items()
        if other != name and any(one == path or one.startswith(f"{path}/") for one in read)
    }


def _statement(name: str, stage: dict[str, Any], run_id: str, commit: str, made_by: str) -> dict[str, Any]:
    code = code_files(stage)
    repository = [{"uri": "git+project", "name": "project", "digest": {"gitCommit": commit}}] if commit else []
    inputs = [
        {"name": dep["path"], "digest": _digest(dep.get("md5", "")), "annotations": {"role": "input"}}
        for dep in stage.get("deps", [])
    ]
    files = [
        {"name": file, "digest": {"md5": md5}, "annotations": {"role": "code"}} for file, md5 in sorted(code.items())
    ]
    return {
        "_type": STATEMENT,
        "subject": [{"name": out["path"], "digest": _digest(out["md5"])} for out in stage.get("outs", [])],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD,
                "externalParameters": {"stage": name, "command": stage["cmd"], "params": chosen_params(stage)},
                "internalParameters": {"code": code, "inputs": stage_inputs(stage)},
                "resolvedDependencies": [*repository, *inputs, *files],
            },
            "runDetails": {
                "builder": {"id": BUILDER, **({"version": {"kshot": made_by}} if made_by else {})},
                "metadata": {"invocationId": run_id},
            },
        },
    }


def _digest(md5: str) -> dict[str, str]:
    """A digest set; the hash of a folder has a name of its own, because no other tool computes it like a file's."""
    return {DIRECTORY: md5.removesuffix(".dir")} if md5.endswith(".dir") else {"md5": md5}
