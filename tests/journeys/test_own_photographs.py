"""Two commands from a zip of photographs to a champion: `kshot init --images` and `kshot retrain`, as shipped.

As docs/first-hour.md says, with kshot from a wheel in a new environment; the archive has 20 images of each class.
"""

import zipfile
from collections import Counter
from pathlib import Path

import pytest

from tests.journeys.person import Person
from tests.journeys.photographs import ARCHIVE
from tests.journeys.steps import Journey, Step, parameters

pytestmark = [
    pytest.mark.journeys,
    pytest.mark.skipif(not ARCHIVE.exists(), reason=f"needs the photographs in {ARCHIVE}"),
]

README, HOUR = "README.md", "docs/first-hour.md"
IMAGES = 20  # of each class: 10w5s with 15 queries needs so many
INIT, RETRAIN = "kshot init shop --images groceries.zip", "cd shop && kshot retrain"
STEPS = (
    Step(
        INIT,
        page=(README, HOUR),
        shows=("1,020 images, 51 classes from groceries.zip", "photographs, by", "adaptation projection", RETRAIN),
        needed=True,
    ),
    Step(
        RETRAIN,
        page=(README, HOUR),
        shows=(r"5w1s [789]\d\.\d\d %", r"10w5s \d", "model shop version 1", "champion yes: 5w1s .* >= required 36 %"),
        needed=True,
    ),
    Step(
        "cd shop && git add --all && git commit --message 'First model'",
        page=HOUR,
        printed='git add --all && git commit --message "First model"',
        shows=("dvc.lock",),
    ),
    Step(
        "cd shop && kshot data show $(kshot data versions | grep -Eo '[0-9a-f]{8}' | head -n 1)",
        page=HOUR,
        printed="kshot data show VERSION",
        shows=("reports/data-",),
    ),
    Step("cd shop && kshot serve --port 0", page=HOUR, printed="kshot serve", until="serving shop version 1"),
    Step(
        "cd shop && kshot compare champion champion",
        page=HOUR,
        printed="kshot compare champion challenger",
        shows=("0 rose",),
    ),
    Step(
        "cd shop && kshot data add ../groceries.zip --extend",
        page=(HOUR, "docs/data.md"),
        printed="kshot data add NEW_IMAGES --extend",
        shows=("these images are the current version already",),
    ),
    Step("cd shop && kshot fit-settings", page=HOUR, printed="kshot fit-settings", shows=("says all of this already",)),
    Step(
        "cd shop && kshot fit-settings --yes --from-scratch",
        page=HOUR,
        printed="kshot fit-settings --yes",
        shows=("train.network.backbone tf_efficientnet_lite0 -> conv4", "train with them: kshot retrain"),
    ),
    Step("cd shop && kshot audit --model champion --deep", shows=("version 1: all .* hold",)),
)


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory, wheel_programs: Path) -> Journey:
    folder = tmp_path_factory.mktemp("photographs") / "home"
    folder.mkdir()
    shrink(ARCHIVE, folder / ARCHIVE.name)
    return Journey(Person(folder, wheel_programs))


def shrink(archive: Path, place: Path) -> None:
    """Write an archive of the first images of each class."""
    written = Counter[Path]()
    with zipfile.ZipFile(archive) as whole, zipfile.ZipFile(place, "w") as part:
        for name in sorted(whole.namelist()):
            written[Path(name).parent] += 1
            if written[Path(name).parent] <= IMAGES:
                part.writestr(name, whole.read(name))


@parameters(STEPS)
def test_step(journey: Journey, step: Step) -> None:
    journey.walk(step)
