"""The files of plug-ins in the fingerprints: of which stages, and which edits are detected."""

import json
from pathlib import Path

import pytest

from kshot.errors import ParamsError
from kshot.lifecycle.project.files import file_md5
from kshot.lifecycle.stages import code_read
from kshot.lifecycle.tracking import installed, plugin_code
from kshot.lifecycle.tracking.installed import EDITED, SOURCE, UNKNOWN, WHEEL, Package
from kshot.params.reader import read_mapping
from tests.lifecycle.raw_project import REPOSITORY
from tests.plugin_distribution import install, of_project

FILES = {"extra/__init__.py": "", "extra/code.py": "from kshot.lifecycle.pages import svg\n", "extra/data.json": "{}"}
ENTRIES = {
    "losses": {"theirs": "extra.code:loss"},
    "backbones": {"net": "extra.code:net"},
    "classifiers": {"head": "extra.code:head"},
}
CODE, DATA = "kshot-extra:extra/code.py", "kshot-extra:extra/data.json"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: None) -> Path:
    found = install(tmp_path / "site-packages", FILES, ENTRIES)
    monkeypatch.syspath_prepend(str(found))
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    made.mkdir()
    files = {"shop/__init__.py": "one = 1\n", "shop/own.py": "from shop import more\n", "shop/more.py": "", "b.py": ""}
    return of_project(made, files, {"methods": {"own": "shop.own:Own"}})


def choose(root: Path, backbone: str = "conv4", method: str = "metric", **changes: str) -> None:
    content = read_mapping(REPOSITORY / "params.yaml")
    content["train"]["network"]["backbone"] = backbone
    content["train"]["method"]["name"] = method
    content["train"]["loss"]["name"] = changes.get("loss", "prototypical")
    content["evaluate"]["classifier"] = changes.get("classifier", "method")
    (root / "params.yaml").write_text(json.dumps(content))


def added(root: Path) -> dict[str, set[str]]:
    """Stage to what the chosen plug-ins add to its fingerprints; stages without any are left out."""
    stages = ("ingest", "split", "validate", "episodes", "embed", "train", "evaluate")
    found = {stage: set(plugin_code.fingerprints(root, stage)) for stage in stages}
    return {stage: names for stage, names in found.items() if names}


def test_a_plugin_counts_only_when_it_is_chosen_and_for_the_stages_that_use_it(place: Path, root: Path) -> None:
    choose(root)
    assert added(root) == {}
    svg = "kshot/lifecycle/pages/svg.py"  # which no stage imports, and the plug-in does
    choose(root, loss="theirs")
    names = {CODE, DATA, "kshot-extra:extra/__init__.py"}
    found = added(root)
    assert found == {"train": found["train"]} and names | {"theirs = extra.code:loss", svg} <= found["train"]
    choose(root, loss="theirs", method="prototypical")
    assert added(root) == {}, "the loss of another method than metric is not used"
    choose(root, backbone="net")
    assert sorted(added(root)) == ["embed", "evaluate", "train"]
    choose(root, classifier="head")
    assert sorted(added(root)) == ["evaluate"]


def test_of_a_project_the_files_count_that_the_module_imports(place: Path, root: Path) -> None:
    choose(root, method="own")
    found = added(root)
    names = {"shop/__init__.py", "shop/own.py", "own = shop.own:Own"}
    assert sorted(found) == ["evaluate", "train"] and found["train"] == names
    (root / "src/shop/more.py").write_text("two = 2\n")
    assert added(root)["train"] == {*names, "shop/more.py"}
    (root / "src/shop/own.py").unlink()
    (root / "src/shop/__init__.py").unlink()
    with pytest.raises(ParamsError, match="method own of pyproject.toml .* has no module in .*src; put it there"):
        added(root)


def test_a_choice_by_the_name_that_a_setting_had_counts_too(place: Path, root: Path) -> None:
    (root / "params.yaml").write_text("train: {method: metric, loss: theirs, backbone: net}\n")
    assert {"theirs = extra.code:loss", "net = extra.code:net"} <= added(root)["train"]


def test_a_file_of_fingerprints_follows_a_choice_and_an_edit(place: Path, root: Path) -> None:
    choose(root)
    code_read.refresh(root, "evaluate")
    path = root / code_read.place_of("evaluate")
    assert CODE not in json.loads(path.read_text())
    choose(root, classifier="head")
    code_read.renew(root, "evaluate")  # as a plain `dvc repro` does
    assert json.loads(path.read_text())[CODE] == file_md5(place / "extra/code.py")
    written = path.stat().st_ino
    code_read.renew(root, "evaluate")
    assert path.stat().st_ino == written
    (place / "extra/data.json").write_text("[]")
    code_read.renew(root, "evaluate")
    assert json.loads(path.read_text())[DATA] == file_md5(place / "extra/data.json")


def test_what_is_recorded_is_the_distribution_with_its_version_and_state(place: Path, root: Path) -> None:
    names = [CODE, DATA, "shop/own.py", "kshot/errors.py"]
    assert installed.plugins(names) == {"kshot-extra": Package("1.2.0", WHEEL)}
    (place / "extra/code.py").write_text("edited = 1\n")
    found = installed.plugins([*names, "gone-dist:gone.py", "kshot-extra:elsewhere/x.py"])
    assert found == {"gone-dist": UNKNOWN, "kshot-extra": Package("1.2.0", EDITED)}
    assert installed.plugins(["kshot-extra:elsewhere/x.py"]) == {"kshot-extra": Package("1.2.0", SOURCE)}
    tags = installed.plugin_tags(found)
    assert tags["kshot.plugins"] == '{"gone-dist": ["", ""], "kshot-extra": ["1.2.0", "edited wheel"]}'
    assert installed.plugins_of(tags) == found and installed.plugin_tags({}) == {} == installed.plugins_of({})
