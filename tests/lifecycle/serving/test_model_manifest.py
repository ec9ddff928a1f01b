"""Model, manifest, tag and events agree; a version from before manifests passes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kshot import manifest
from kshot.lifecycle.registry.recorded_manifest import recorded_manifest
from kshot.lifecycle.serving.model_manifest import TAG, Altered, digest, read, require
from tests.lifecycle.history.event_chains import HISTORY


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code/a.py").write_text("one = 1\n")
    (tmp_path / "MLmodel").write_text("flavors: {}\n")
    return tmp_path


def seal(folder: Path) -> str:
    """Write the manifest of the folder; its sha256."""
    text = json.dumps({"model": manifest.hashes(folder), "run": {"params.yaml": "ab"}, "tags": {TAG: "no"}})
    (folder / manifest.FILE).write_text(text)
    return digest(text.encode())


def test_an_untouched_model_passes_and_the_manifest_comes_back(folder: Path) -> None:
    expected = seal(folder)
    (folder / "registered_model_meta").write_text("model_name: kshot\n")  # MLflow's, of each download
    require(folder, "1", expected)
    found = read(folder, "1", expected)
    assert sorted(found.model) == ["MLmodel", "code/a.py"] and found.run == {"params.yaml": "ab"}
    assert manifest.own_difference(folder) == ()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda folder: (folder / "code/a.py").write_text("one = 2\n"), "code/a.py was changed"),
        (lambda folder: (folder / "MLmodel").unlink(), "MLmodel is missing"),
        (lambda folder: (folder / "code/b.py").write_text(""), "code/b.py was added"),
        (lambda folder: (folder / manifest.FILE).unlink(), "manifest.json is missing"),
    ],
)
def test_a_file_that_differs_is_named_before_anything_runs(
    folder: Path, change: Callable[[Path], object], told: str
) -> None:
    expected = seal(folder)
    change(folder)
    with pytest.raises(Altered, match=told):
        require(folder, "1", expected)
    assert told in manifest.own_difference(folder)


def test_a_manifest_that_was_written_anew_has_not_the_hash_of_the_tag(folder: Path) -> None:
    expected = seal(folder)
    (folder / "code/a.py").write_text("one = 2\n")
    seal(folder)
    with pytest.raises(Altered, match="manifest.json of version 1 was changed"):
        require(folder, "1", expected)
    assert manifest.own_difference(folder) == ()  # which is why the check of the model's own code proves nothing


def test_a_version_of_before_manifests_passes_and_a_deleted_tag_does_not(folder: Path) -> None:
    require(folder, "1", "")
    seal(folder)
    with pytest.raises(Altered, match=f"but no tag {TAG}"):
        require(folder, "1", "")


def test_tag_and_events_name_the_same_manifest() -> None:
    assert recorded_manifest("1", {TAG: "ab"}, HISTORY) == "ab" and recorded_manifest("9", {}, HISTORY) == ""
    with pytest.raises(Altered, match=r"event 1 \(version 1 promoted .* is about ab: the tag was changed"):
        recorded_manifest("1", {TAG: "cd"}, HISTORY)


def test_a_manifest_that_is_no_json_is_said_by_the_model_itself(folder: Path) -> None:
    (folder / manifest.FILE).write_text("[")
    assert manifest.own_difference(folder) == ("manifest.json cannot be read",)
