"""An attestation repeats what the audit verified, as files of public formats, with the same bytes each time."""

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kshot import cli
from kshot.errors import AuditFailed, DataError
from kshot.lifecycle.evidence import attestation
from kshot.lifecycle.registry import model_versions
from tests.lifecycle import audited_project
from tests.lifecycle.page_loads import loads
from tests.lifecycle.ssh_keys import new_key

SHA256 = re.compile(r"[0-9a-f]{64}")


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Iterator[Path]:
    with audited_project.undone(made, tmp_path):
        yield made


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_version_gives_the_same_bytes_by_the_command_too(
    made: Path, signed: Path, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made)
    out = tmp_path / "again"
    assert cli.main(["attest", "champion", "--out", str(out), "--key", str(key), "--with-model"]) == 0
    assert content(out) == content(signed)


def test_the_manifest_names_every_file_and_the_served_model_is_whole(signed: Path) -> None:
    files = content(signed)
    manifest = read(signed / "manifest.json")
    names = files.keys() - {"manifest.json", "manifest.json.sig"}
    assert manifest["files"] == {name: hashlib.sha256(files[name]).hexdigest() for name in names}
    served = read(signed / "served-model.json")
    assert {f"model/{name}" for name in served["model"]} | {"model/manifest.json"} == {
        name for name in names if name.startswith("model/")
    }


def test_it_holds_no_image_and_no_settings_file(signed: Path) -> None:
    names = {Path(name).name for name in content(signed) if not name.startswith("model/")}
    assert not [name for name in names if name.endswith((".png", ".jpg", ".npy"))]
    assert not names & {"params.yaml", "uncommitted.diff"}


def test_each_statement_has_the_fields_of_in_toto_and_slsa(signed: Path) -> None:
    paths = sorted((signed / "statements").iterdir())
    stages = ["ingest", "split", "validate", "episodes", "embed", "train", "evaluate"]
    assert [path.name for path in paths] == [f"{n:02d}-{stage}.json" for n, stage in enumerate(stages, 1)]
    for path, stage in zip(paths, stages, strict=True):
        one = read(path)
        assert one.keys() == {"_type", "subject", "predicateType", "predicate"}
        assert one["_type"] == "https://in-toto.io/Statement/v1"
        assert one["predicateType"] == "https://slsa.dev/provenance/v1"
        assert one["subject"]
        definition = one["predicate"]["buildDefinition"]
        assert ":" in definition["buildType"]
        assert definition["externalParameters"]["command"] == f"python -m kshot.lifecycle.stages.{stage}"
        assert one["predicate"]["runDetails"]["builder"]["id"].startswith("urn:")
        for entry in [*one["subject"], *definition["resolvedDependencies"]]:
            assert entry["name"]
            assert all(re.fullmatch(r"[0-9a-f]{32,64}", value) for value in entry["digest"].values())
            assert len(entry["digest"]) == 1
        roles = {one.get("annotations", {}).get("role") for one in definition["resolvedDependencies"]}
        assert roles == {"input", "code", None}  # None: the project's commit


def test_the_bill_of_material_has_the_fields_of_cyclonedx_1_6(signed: Path) -> None:
    bom = read(signed / "bom.json")
    assert (bom["bomFormat"], bom["specVersion"], bom["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", bom["serialNumber"])
    model = bom["metadata"]["component"]
    assert model["type"] == "machine-learning-model"
    card = model["modelCard"]
    assert card.keys() <= {"modelParameters", "quantitativeAnalysis", "considerations", "properties", "bom-ref"}
    assert card["modelParameters"]["approach"]["type"] in {"supervised", "unsupervised", "self-supervised"}
    for metric in card["quantitativeAnalysis"]["performanceMetrics"]:
        assert metric.keys() <= {"type", "value", "slice", "confidenceInterval"}
        texts = [metric["type"], metric["value"], metric["slice"], *metric.get("confidenceInterval", {}).values()]
        assert all(isinstance(text, str) for text in texts)
    every = [model, *model["components"], *bom["components"]]
    kinds = {"machine-learning-model", "file", "data", "library"}
    assert {one["type"] for one in every} == kinds
    assert all(one["name"] for one in every)
    for one in every:
        for digest in one.get("hashes", ()):
            assert digest["alg"] == "SHA-256"
            assert SHA256.fullmatch(digest["content"])
    refs = [one["bom-ref"] for one in every if "bom-ref" in one]
    assert len(refs) == len(set(refs))
    assert {card["modelParameters"]["datasets"][0]["ref"], bom["dependencies"][0]["ref"]} <= set(refs)
    assert set(bom["dependencies"][0]["dependsOn"]) <= set(refs)
    assert all(set(one) == {"name", "value"} for part in (model, bom["metadata"]) for one in part["properties"])


def test_every_part_of_the_model_in_the_bill_says_what_it_was_verified_against(signed: Path) -> None:
    model = read(signed / "bom.json")["metadata"]["component"]
    said = {one["name"].removeprefix("kshot:verified-against:") for one in model["properties"]}
    parts = {"version", "hashes", "components"} | {
        "modelCard.modelParameters.architectureFamily",
        "modelCard.modelParameters.datasets",
        "modelCard.quantitativeAnalysis",
        "modelCard.considerations",
    }
    assert said == parts


def test_the_data_has_the_fields_of_croissant_1_0(signed: Path) -> None:
    data = read(signed / "data/croissant.json")
    assert data["@type"] == "sc:Dataset"
    assert data["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert {"@context", "name", "description", "license", "url", "creator", "datePublished"} <= data.keys()
    assert {data["@context"]["cr"], data["@context"]["sc"]} == {
        "http://mlcommons.org/croissant/",
        "https://schema.org/",
    }
    file, images = data["distribution"]
    assert (file["@type"], images["@type"]) == ("cr:FileObject", "cr:FileSet")
    assert {"@id", "name", "contentUrl", "encodingFormat", "sha256"} <= file.keys()
    assert {"@id", "name", "encodingFormat", "includes"} <= images.keys()
    assert images["encodingFormat"] == ["image/png"]
    for records in data["recordSet"]:
        assert records["@type"] == "cr:RecordSet"
        assert all(one["@id"] == f"{records['@id']}/{one['name']}" and one["dataType"] for one in records["field"])
    counts = {one["classes/name"]: one["classes/images"] for one in data["recordSet"][0]["data"]}
    assert len(counts) == 24
    assert set(counts.values()) == {6}


def test_the_card_says_figures_weak_classes_and_limits_and_the_page_loads_nothing(signed: Path) -> None:
    card, page = (signed / "card.md").read_text(), (signed / "card.html").read_text()
    for title in ("What it is for", "Data", "Accuracy", "Groups", "Weakest classes", "Images of no class", "Limits"):
        assert f"## {title}\n" in card
        assert f"<h2>{title}</h2>" in page
    one = read(signed / "run/metrics.json")["accuracy"]["5w2s"]
    figure = f"{100 * one['mean']:.2f} % [{100 * one['low']:.2f}, {100 * one['high']:.2f}]"
    assert figure in card
    assert figure in page
    assert loads(page) == []


def test_a_version_with_a_broken_link_is_refused_and_nothing_is_written(root: Path, tmp_path: Path) -> None:
    run_id = model_versions.find(root, "1").run_id
    audited_project.flip(root / f"mlruns/artifacts/{run_id}/artifacts/evaluation/groups.csv")
    with pytest.raises(AuditFailed, match=r"version 1 is not attested: its record is BROKEN: .*groups\.csv"):
        attestation.attest(root, "1", tmp_path / "out" / "evidence")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(made: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(DataError, match="not an empty folder"):
        attestation.attest(made, "1", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_missing_key_is_told_before_the_audit(made: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="ssh-keygen -t ed25519"):
        attestation.attest(made, "1", tmp_path / "evidence", key=tmp_path / "none")


def test_committed_signers_travel_along_and_decide_whose_key_may_sign(
    root: Path, key: Path, signers: Path, tmp_path: Path
) -> None:
    before = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, check=True, capture_output=True, text=True).stdout
    (root / "allowed_signers").write_bytes(signers.read_bytes())
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for command in (["add", "allowed_signers"], [*identity, "commit", "-qm", "who may sign"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    try:
        found = attestation.attest(root, "1", tmp_path / "evidence", key=key)
        assert found.signer == "ada@example.org"
        assert (tmp_path / "evidence/allowed_signers").read_bytes() == signers.read_bytes()
        with pytest.raises(DataError, match="may not sign"):
            attestation.attest(root, "1", tmp_path / "other", key=new_key(tmp_path / "eve"))
        assert not (tmp_path / "other").exists()
    finally:
        subprocess.run(["git", "reset", "-q", before.strip()], cwd=root, check=True)
        (root / "allowed_signers").unlink()
