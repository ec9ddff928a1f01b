import pytest

from kshot.params.schema import load_params
from kshot.params.sections.episodes import Protocol
from tests.params.changed_settings import DEFAULTS, changed, refused


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("episodes.n_query", 0, "episodes.n_query is 0; needs at least 1 query a class, or auto"),
        ("episodes.protocols", {}, "episodes.protocols is empty"),
        ("episodes.protocols", {"../x": {"n_way": 5, "k_shot": 1, "within_group": False}}, "becomes a file name"),
        ("episodes.protocols.5w1s.n_way", 1, "episodes.protocols.5w1s.n_way is 1; needs at least 2"),
        ("episodes.protocols.5w1s.n_query", 0, "n_query is 0; needs at least 1"),
        ("episodes.n_episodes", 1, "an interval needs at least 2"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(path, value, message):
    refused(changed(path, value), message)


def test_a_protocol_may_have_drawers_and_queries_of_its_own():
    episodes = load_params(DEFAULTS).episodes
    assert not episodes.protocols["5w1s"].by_drawer and episodes.queries(episodes.protocols["5w1s"]) == 15
    lake = Protocol(20, 1, within_group=True, by_drawer=True, n_query=1)
    assert episodes.queries(lake) == 1
