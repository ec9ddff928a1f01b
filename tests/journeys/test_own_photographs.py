"""Two commands from a zip of photographs to a champion: `kshot init --images` and `kshot retrain`, as shipped.

As docs/first-hour.md says, with kshot from a wheel in a new environment; only the archive is at another place.
"""

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
INIT, RETRAIN = "kshot init shop --images groceries.zip", "cd shop && kshot retrain"
STEPS = (
    Step(
        INIT,
        page=(README, HOUR),
        shows=("3,676 images, 51 classes from groceries.zip", "photographs, by", "adaptation projection", RETRAIN),
        needed=True,
    ),
    Step(
        RETRAIN,
        page=(README, HOUR),
        shows=(r"5w1s [789]\d\.\d\d %", r"10w5s \d", "model shop version 1", "champion yes: 5w1s .* >= required 36 %"),
        needed=True,
    ),
    Step(
        "cd shop && kshot data add ../groceries.zip",
        page=HOUR,
        printed="kshot data add NEW_IMAGES",
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
    (folder / ARCHIVE.name).symlink_to(ARCHIVE)
    return Journey(Person(folder, wheel_programs))


@parameters(STEPS)
def test_step(journey: Journey, step: Step) -> None:
    journey.walk(step)
