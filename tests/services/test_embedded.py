"""The story on the embedded default, and the project moved afterwards."""

import pytest

from tests.services import story
from tests.services.facts import Facts
from tests.services.story import Told

pytestmark = pytest.mark.services


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return story.tell(story.make(tmp_path_factory.mktemp("embedded") / "project"), {})


class TestEmbedded(Facts): ...


def test_nothing_must_be_mended_afterwards_and_a_move_can_be(told: Told) -> None:
    assert told.steps["doctor"].code == 0
    story.move(told, told.root.with_name("elsewhere"))
    assert told.steps["moved"].code == 13 and "kshot doctor --mend" in told.steps["moved"].out
    assert told.steps["mended"].code == 0 and "are now below" in told.steps["mended"].out
    assert "all 15 links hold" in told.steps["audit after move"].out
