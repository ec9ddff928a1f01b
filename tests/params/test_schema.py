import pytest
import yaml

from kshot.errors import ParamsError
from kshot.params.schema import ADDED, load_params, params_from
from kshot.params.sections.episodes import Protocol
from tests.params.changed_settings import DEFAULTS, changed, defaults


def test_the_defaults_are_valid():
    params = load_params(DEFAULTS)
    assert params.episodes.protocols["20w5s"] == Protocol(n_way=20, k_shot=5, within_group=False)
    assert params.train.splits == ("train",)


def test_a_file_of_an_older_kshot_is_told_all_keys_at_once_and_the_lines_to_add():
    whole = defaults()
    old = defaults()
    for dotted in ADDED:
        section, _, key = dotted.partition(".")
        del old[section][key]
    del old["record"]
    with pytest.raises(
        ParamsError, match="5 keys are missing: gate.group_protocol, .*max_class_drop, record;"
    ) as caught:
        params_from(old)
    added = yaml.safe_load("\n".join(caught.value.block[1:]))
    assert params_from({**old, "gate": old["gate"] | added["gate"], "record": added["record"]}) == params_from(whole)


def test_a_file_without_the_settings_about_galleries_compares_none():
    old = changed("gate.gallery_margin", ...)
    del old["gate"]["gallery_loss"]
    assert params_from(old) == params_from(defaults())


def test_groups_of_an_older_project_go_on_being_judged_by_its_first_protocol():
    old = changed("gate.group_protocol", ...)
    old["gate"]["min_accuracy"] = {"20w1s": 0.5, "5w1s": 0.8}
    with pytest.raises(ParamsError) as caught:
        params_from(old)
    assert caught.value.block[-1] == "    group_protocol: 20w1s"
