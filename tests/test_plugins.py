"""Names of plug-ins: found in an installed distribution and in a project, imported when chosen, refused in doubt."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kshot import plugins
from kshot.errors import ParamsError
from kshot.params.reader import read_mapping
from kshot.params.schema import Params, load_params
from tests.plugin_distribution import install, of_project

REPOSITORY = Path(__file__).parents[1]
LOSS = """
from torch import Tensor

def plain(points: Tensor, labels: Tensor, *, scale: float = 2.0, count: int = 3) -> Tensor:
    return scale * count * points.square().mean()
"""
METHOD = """
from kshot.methods.method import Method
from kshot.params.methods import Rate, MethodOptions

class Own(Method):
    options = MethodOptions({"scale": Rate(1.0, 100.0)})

    def __init__(self, embedding, n_way, k_shot, scale=1.0):
        super().__init__(embedding, n_way, k_shot)
        self.scale = scale

    def scores(self, support, labels, query, n_way):
        return self.scale * super().scores(support, labels, query, n_way)
"""
NET = """
from torch import nn

def tiny(channels, size):
    network = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * channels, 8))
    network.num_features = 8
    return network
"""
HEAD = """
def mean(support, labels, query, n_way):
    return -(query[:, :, None] - support[:, None, :n_way]).square().sum(-1)

def all_at_once(support, labels, query, n_way):
    return mean(support, labels, query, n_way)

all_at_once.transductive = True

def by_cosine(support, labels, query, n_way):
    return mean(support, labels, query, n_way)

by_cosine.mean_distance = "cosine"

def by_angle(support, labels, query, n_way):
    return mean(support, labels, query, n_way)

by_angle.mean_distance = "angle"
"""
FILES = {"extra/__init__.py": "", "extra/loss.py": LOSS, "extra/net.py": NET, "extra/head.py": HEAD}
ENTRIES = {
    "losses": {"plain": "extra.loss:plain"},
    "backbones": {"tiny": "extra.net:tiny"},
    "classifiers": {"mean_head": "extra.head:mean", "all_at_once": "extra.head:all_at_once"}
    | {name: f"extra.head:{name}" for name in ("by_cosine", "by_angle")},
}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = install(tmp_path / "site-packages", FILES, ENTRIES)
    monkeypatch.syspath_prepend(str(place))
    return place


@pytest.fixture
def project(tmp_path: Path, forgotten: None) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "params.yaml").write_text((REPOSITORY / "params.yaml").read_text())
    return of_project(root, {"shop/__init__.py": "", "shop/own.py": METHOD}, {"methods": {"own": "shop.own:Own"}})


KEYS = {
    "loss": "train.loss.name",
    "loss_arguments": "train.loss.arguments",
    "margin": "train.loss.margin",
    "mining": "train.loss.mining",
    "method": "train.method.name",
    "method_arguments": "train.method.arguments",
    "backbone": "train.network.backbone",
    "classifier": "evaluate.classifier",
}


def params(root: Path, **changes: object) -> Params:
    content = read_mapping(REPOSITORY / "params.yaml")
    for name, value in changes.items():
        *sections, key = KEYS[name].split(".")
        part = content
        for one in sections:
            part = part[one]
        part[key] = value
    (root / "params.yaml").write_text(json.dumps(content))
    return load_params(root / "params.yaml")


def test_names_of_a_distribution_and_of_a_project_are_found_with_their_origin(installed: Path, project: Path) -> None:
    plugins.use_project(project)
    found = plugins.find("losses", "plain")
    assert found is not None and str(found) == "loss plain of kshot-extra 1.2.0 (extra.loss:plain)"
    own = plugins.find("methods", "own")
    assert own is not None and str(own) == "method own of pyproject.toml (shop.own:Own)" and own.given_by == ""
    assert plugins.find("losses", "other") is None and plugins.find("methods", "plain") is None
    assert plugins.find("methods", "own", root=installed) is None


def test_in_a_notebook_the_project_is_the_working_directory(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert plugins.find("methods", "own") is None
    monkeypatch.chdir(project)
    own = plugins.find("methods", "own")
    assert own is not None and plugins.load(own).__module__ == "shop.own"


def test_nothing_is_imported_before_a_name_is_chosen(installed: Path, project: Path) -> None:
    params(project)
    assert not {"extra", "shop"} & {name.partition(".")[0] for name in sys.modules}


def test_settings_that_name_plugins_are_accepted_and_their_arguments_checked(installed: Path, project: Path) -> None:
    chosen = params(project, loss="plain", backbone="tiny", loss_arguments={"scale": 4, "count": 2})
    assert chosen.train.loss.arguments == {"scale": 4.0, "count": 2.0}
    with pytest.raises(ParamsError, match="margin is no argument of plain; known are scale, count"):
        params(project, loss="plain", loss_arguments={"margin": 1})
    with pytest.raises(ParamsError, match=r"count of plain is 1.5; needs a whole number, such as 3"):
        params(project, loss="plain", loss_arguments={"count": 1.5})
    with pytest.raises(ParamsError, match="train.loss.margin is 0.5; the plain loss has none: set null"):
        params(project, loss="plain", margin=0.5)
    assert params(project, method="own", method_arguments={"scale": 4}).train.method.name == "own"
    with pytest.raises(ParamsError, match="method.arguments.steps is no argument of own; known are scale"):
        params(project, method="own", method_arguments={"steps": 4})
    assert params(project, classifier="mean_head").evaluate.classifier == "mean_head"
    with pytest.raises(ParamsError, match="has mean_distance 'angle'; needs one of euclidean, cosine, centred_cosine"):
        params(project, classifier="by_angle")


def test_an_unknown_name_lists_those_of_plugins_too(installed: Path, project: Path) -> None:
    with pytest.raises(ParamsError, match="train.loss.name is 'plane'; needs one of .*, plain; did you mean plain?"):
        params(project, loss="plane")
    with pytest.raises(ParamsError, match="train.method.name is 'owl'; needs one of .*, own; did you mean own?"):
        params(project, method="owl")
    with pytest.raises(ParamsError, match="evaluate.classifier is 'middle'; needs one of .*, mean_head, all_at_once"):
        params(project, classifier="middle")


def test_a_name_of_kshots_own_is_refused_with_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    entries = {
        "losses": {"triplet": "extra.loss:plain"},
        "backbones": {"resnet12": "extra.net:tiny"},
        "methods": {"maml": "extra.own:Own"},
        "classifiers": {"pt_map": "extra.head:mean"},
    }
    monkeypatch.syspath_prepend(str(install(tmp_path / "shadows", FILES, entries)))
    ours = "is kshot's own, and the {} of kshot-extra 1.2.0 .* has the same name; rename or uninstall that"
    with pytest.raises(ParamsError, match="the loss triplet " + ours.format("loss triplet")):
        params(project, loss="triplet", mining="batch_all", margin=1.0)
    with pytest.raises(ParamsError, match="the method maml " + ours.format("method maml")):
        params(project, method="maml")
    with pytest.raises(ParamsError, match="the backbone resnet12 " + ours.format("backbone resnet12")):
        params(project, backbone="resnet12")
    with pytest.raises(ParamsError, match="the classifier pt_map " + ours.format("classifier pt_map")):
        params(project, classifier="pt_map")


def test_a_name_that_two_distributions_give_is_refused(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    other = install(tmp_path / "other", {"another.py": LOSS}, {"losses": {"plain": "another:plain"}}, name="another")
    monkeypatch.syspath_prepend(str(other))
    with pytest.raises(ParamsError, match="two give one name: .* of another 1.2.0 .* of kshot-extra 1.2.0"):
        params(project, loss="plain")


def test_a_project_that_is_installed_too_gives_its_names_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    place = install(tmp_path / "editable", {}, {"methods": {"own": "shop.own:Own"}}, name="Shop", version="1")
    monkeypatch.syspath_prepend(str(place))
    assert params(project, method="own").train.method.name == "own"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("import nothing_such", "ModuleNotFoundError: No module named 'nothing_such'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("other = 1", "AttributeError: .*plain"),
        ("def plain(", "SyntaxError: "),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_one_line_with_its_distribution_and_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Path, text: str, what: str
) -> None:
    place = install(tmp_path / "broken", {"broken_extra.py": text}, {"losses": {"plain": "broken_extra:plain"}})
    monkeypatch.syspath_prepend(str(place))
    with pytest.raises(ParamsError, match=r"the loss plain of kshot-extra 1.2.0 \(broken_extra:plain\) cannot") as told:
        params(project, loss="plain")
    assert told.match(what) and "\n" not in str(told.value)
    sys.modules.pop("broken_extra", None)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("plain = 3", "cannot be called"),
        ("def plain(points): return points.sum()", "cannot be called"),
        ("def plain(points, labels, *, scale): return points.sum()", "a number as its default"),
        ("def plain(points, labels, *, scale='wide'): return points.sum()", "a number as its default"),
    ],
)
def test_an_object_that_is_no_loss_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Path, text: str, what: str
) -> None:
    place = install(tmp_path / "no_loss", {"no_loss.py": text}, {"losses": {"plain": "no_loss:plain"}})
    monkeypatch.syspath_prepend(str(place))
    with pytest.raises(ParamsError, match=f"the loss plain of kshot-extra 1.2.0 .*{what}"):
        params(project, loss="plain")
    sys.modules.pop("no_loss", None)


def test_a_class_without_what_it_takes_is_no_method(project: Path) -> None:
    (project / "src/shop/own.py").write_text("class Own: pass\n")
    with pytest.raises(ParamsError, match="method own of pyproject.toml .* is no method; needs a class of .*Method"):
        params(project, method="own")


def test_an_installed_module_that_hides_the_projects_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    place = install(tmp_path / "hides", {"shop/__init__.py": "", "shop/own.py": METHOD}, {}, name="shop-tools")
    monkeypatch.syspath_prepend(str(place))
    __import__("shop.own")
    try:
        with pytest.raises(ParamsError, match="is hidden by .*hides/shop/own.py, a module of the same name; rename"):
            params(project, method="own")
    finally:
        for name in ("shop", "shop.own"):
            sys.modules.pop(name)


def test_two_projects_in_one_process_have_each_their_own_code(project: Path, tmp_path: Path) -> None:
    assert params(project, method="own").train.method.name == "own"
    other = tmp_path / "other"
    other.mkdir()
    of_project(other, {"shop/own.py": METHOD.replace("Rate(1.0", "Rate(3.0")}, {"methods": {"own": "shop.own:Own"}})
    from kshot.params.methods import arguments_of

    assert arguments_of("own", {}) == {"scale": 1.0}
    params(other, method="own")
    assert arguments_of("own", {}) == {"scale": 3.0}


def test_a_pyproject_that_is_no_toml_is_named(project: Path) -> None:
    (project / "pyproject.toml").write_text("[project\n")
    with pytest.raises(ParamsError, match="pyproject.toml cannot be read: .*; repair it"):
        params(project)


def test_reading_settings_without_plugins_imports_no_torch() -> None:
    ask = (
        "import sys; from pathlib import Path; from kshot.params.schema import load_params; "
        f"load_params(Path({str(REPOSITORY / 'params.yaml')!r})); print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_pyproject_is_parsed_once_and_again_when_it_changed(tmp_path: Path) -> None:
    plugins._table.cache_clear()
    for target in ("a:one", "a:one", "a:two"):
        (tmp_path / "pyproject.toml").write_text(f'[project.entry-points."kshot.losses"]\nmine = "{target}"\n')
        assert [one.target for one in plugins.of_kind("losses", tmp_path)] == [target]
    assert plugins._table.cache_info()[:2] == (1, 2)  # hits, misses
