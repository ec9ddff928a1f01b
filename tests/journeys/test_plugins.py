"""The example of docs/plugins.md: a method in a project's src/, a loss and a backbone in a wheel; kshot from a wheel.

Retrained, audited, reproduced and served. `train.steps` alone is smaller than shipped.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import plugins_page
from tests.journeys import shop
from tests.journeys.person import Person
from tests.journeys.steps import Journey, Step, parameters

pytestmark = pytest.mark.journeys

PAGE = plugins_page.PAGE
METHOD = "kshot retrain --set train.method.name=scaled --set 'train.method.arguments={scale: 0.5}'"
LOSS = "kshot retrain --set train.loss.name=nca --set train.network.backbone=small"
METRIC = "--set train.method.name=metric --set 'train.method.arguments={}' --set train.steps=10"
CODE = "kshot-extra 1.2.0: all [0-9]+ code files match those installed here, which are those of its wheel"
WITHOUT = "env -u PYTHONPATH"  # where the distribution is not installed
SERVED = """
import importlib.util, json, pathlib, sys
assert not any(importlib.util.find_spec(name) for name in ("shop", "kshot_extra"))
import mlflow, pandas
paths = sorted(pathlib.Path(sys.argv[1]).glob("data/raw/images/*/*/*.png"))
folders = sorted({path.parent for path in paths})[:2]
images = [sorted(folder.glob("*.png"))[place] for folder in folders for place in (0, 1)]
mlflow.set_tracking_uri(f"sqlite:///{sys.argv[1]}/mlruns/mlflow.db")
model = mlflow.pyfunc.load_model("models:/shop/2")
frame = pandas.DataFrame({"image": [one.read_bytes() for one in images], "label": ["a", None, "b", None]})
print("predicted", model.predict(frame)["label"].tolist())
print("imported", sorted({"kshot", "shop", "kshot_extra"} & set(sys.modules)))
"""
STEPS = (
    Step(
        f"{METHOD} --set train.network.backbone=small --set train.steps=10",
        PAGE,
        METHOD,
        shows=("by scaled on", r"5w1s \d", "model shop version 2"),
        needed=True,
    ),
    Step("kshot audit --model 2 --deep", shows=("version 2: all .* hold", "commit .* all 1 code files match", CODE)),
    Step("kshot reproduce 2", shows=("version 2 is reproduced: identical, bit for bit",)),
    Step(f"cd / && {WITHOUT} python $SERVED $OLDPWD", shows=(r"predicted \['[ab]', '[ab]'\]", r"imported \[\]")),
    Step("echo '# more' >> src/shop/scaled.py && kshot plan", shows=("code shop/scaled.py changed",)),
    Step("git checkout -q src && kshot plan", shows=("nothing would be trained",)),
    Step(f"{LOSS} {METRIC}", PAGE, LOSS, shows=("by nca loss", "model shop version 3"), needed=True),
    Step("kshot audit --model 3 --deep", shows=("version 3: all .* hold", CODE)),
    Step(f"{WITHOUT} kshot retrain", codes=(2,), shows=("train.loss.name is 'nca'; needs one of",)),
    Step(
        f"{WITHOUT} kshot audit --model 3",
        codes=(0, 10),
        shows=("kshot-extra is not installed here", "pip install kshot-extra==1.2.0"),
    ),
)


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory, wheel_programs: Path) -> Journey:
    folder = tmp_path_factory.mktemp("plugins")
    served = folder / "elsewhere/served.py"
    served.parent.mkdir()
    served.write_text(SERVED)
    names = {"PYTHONPATH": str(installed(folder, wheel_programs)), "SERVED": str(served)}
    root = shop.copy(tmp_path_factory, wheel_programs, folder)
    plugins_page.write_project(root)
    person = Person(root, wheel_programs, names)
    for command in ("git add .", "git -c user.name=Ada -c user.email=ada@example.org commit -qm 'Our method'"):
        assert person.types(command).code == 0
    return Journey(person)


def installed(folder: Path, programs: Path) -> Path:
    """A folder with the wheel of kshot-extra installed in it: beside the environment, which others share."""
    source, place = folder / "kshot-extra", folder / "extra"
    plugins_page.write_distribution(source)
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder]
    subprocess.run(build, cwd=source, check=True)
    (wheel,) = folder.glob("*.whl")
    install = [Path(sys.executable).with_name("uv"), "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*install, "--python", programs / "python", "--target", place, wheel], check=True)
    return place


@parameters(STEPS)
def test_step(journey: Journey, step: Step) -> None:
    journey.walk(step)
