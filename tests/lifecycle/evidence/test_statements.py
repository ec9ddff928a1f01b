"""Statements stand in the order in which the stages ran, whatever the order of dvc.lock."""

from typing import Any

from kshot.lifecycle.evidence import statements


def stage(reads: str, writes: str) -> dict[str, Any]:
    return {
        "cmd": "python -m stage",
        "deps": [{"path": reads, "md5": "0" * 32}],
        "params": {
            "params.yaml": {"a": 1},
            "fingerprints/x.json": {"kshot/errors.py": "1" * 32, "loss = a:B": "2" * 32},
        },
        "outs": [{"path": writes, "md5": f"{'3' * 32}.dir"}],
    }


def test_a_stage_stands_after_those_that_write_what_it_reads() -> None:
    lock = {"c": stage("data/b/part", "data/c"), "b": stage("data/a", "data/b"), "a": stage("data/raw", "data/a")}
    assert statements.in_order(lock) == ["a", "b", "c"]
    assert list(statements.statements(lock, "run", "", "")) == [
        "statements/01-a.json",
        "statements/02-b.json",
        "statements/03-c.json",
    ]


def test_code_is_named_by_file_and_a_folder_by_a_digest_of_its_own() -> None:
    one = statements.statements({"a": stage("data/raw", "data/a")}, "run", "f" * 40, "1.0")["statements/01-a.json"]
    definition = one["predicate"]["buildDefinition"]
    assert one["subject"] == [{"name": "data/a", "digest": {"dvcDirectoryMd5": "3" * 32}}]
    assert definition["externalParameters"]["params"] == {"params.yaml": {"a": 1}}
    assert definition["internalParameters"]["code"] == {"kshot/errors.py": "1" * 32}
    assert [entry["name"] for entry in definition["resolvedDependencies"]] == ["project", "data/raw", "kshot/errors.py"]
    assert one["predicate"]["runDetails"]["builder"]["version"] == {"kshot": "1.0"}
