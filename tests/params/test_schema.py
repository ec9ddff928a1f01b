from pathlib import Path

import pytest
import yaml

from kshot.errors import ParamsError
from kshot.params.schema import ADDED, load_params, params_from
from kshot.params.sections.episodes import Protocol
from tests.short_names import set_train

DEFAULTS = Path(__file__).parents[2] / "params.yaml"


def changed(path, value):
    """The defaults with one dotted key changed; ... removes it."""
    mapping = yaml.safe_load(DEFAULTS.read_text())
    *sections, last = path.split(".")
    inner = mapping
    for section in sections:
        inner = inner[section]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return mapping


def test_the_defaults_are_valid():
    params = load_params(DEFAULTS)
    assert params.episodes.protocols["20w5s"] == Protocol(n_way=20, k_shot=5, within_group=False)
    assert params.train.splits == ("train",)


def test_whole_numbers_serve_as_floats_and_none_where_it_may():
    params = params_from(changed("train.optimizer.learning_rate", 1))
    assert type(params.train.optimizer.learning_rate) is float
    assert params.train.network.checkpoint is None


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("train.stepz", 5, "unknown key train.stepz; did you mean train.steps?"),
        ("colour", 5, "unknown key colour; known are ingest, split"),
        ("train.steps", ..., "train.steps is missing; add it"),
        ("train", ..., "train is missing"),
        ("train.steps", "many", "train.steps is 'many'; needs a value of type int"),
        ("train.steps", 1.5, "train.steps is 1.5; needs a value of type int"),
        ("train.steps", True, "train.steps is True; needs a value of type int"),
        (
            "train.optimizer.learning_rate",
            "1e-3",
            "learning_rate is '1e-3'; needs a value of type finite number",
        ),
        ("train.optimizer.learning_rate", float("nan"), "needs a value of type finite number"),
        ("split.rotations", "yes", "split.rotations is 'yes'; needs one of none, train, all"),
        ("ingest.invert", 1, "ingest.invert is 1; needs a value of type bool"),
        ("ingest.crop", "tight", "ingest.crop is 'tight'; needs one of none, ink"),
        ("train.splits", "train", "train.splits is 'train'; needs a value of type list"),
        ("gate.min_accuracy", 0.8, "gate.min_accuracy is 0.8; needs a mapping, or auto"),
        ("episodes.n_query", "many", "episodes.n_query is 'many'; needs a whole number, or auto"),
        ("episodes.n_query", 0, "episodes.n_query is 0; needs at least 1 query a class, or auto"),
        ("episodes.protocols", "all", "episodes.protocols is 'all'; needs a mapping, or auto"),
        ("train", 3, "train holds 3; needs a section of keys"),
        ("evaluate.views", 3, "evaluate.views is 3; needs one of 1, 2, 5, auto"),
        ("split.by", "folder", "split.by is 'folder'; needs one of auto, table, group, class"),
        (
            "train.loss.name",
            "tripled",
            r"loss.name is 'tripled'; needs one of prototypical, .*; did you mean triplet\?",
        ),
        ("train.steps", 0, "train.steps is 0; needs at least 1"),
        ("train.batch.classes", 1, "train.batch.classes is 1; needs at least 2"),
        ("train.method.k_shot", 6, "train.method.k_shot is 6 of train.batch.images 6"),
        ("train.loss.margin", 0.5, "the prototypical loss has none: set null"),
        ("train.loss.mining", "batch_all", "the prototypical loss takes none: set null"),
        ("train.augment.scale", 1.0, "train.augment.scale is 1.0; needs to lie below 1"),
        ("train.task_augment.mirror", 2, "train.task_augment.mirror is 2.0; needs 0 to 1"),
        ("train.task_augment.shear", 90, "train.task_augment.shear is 90.0; needs to lie below 90"),
        ("train.augment.degrees", -1, "train.augment.degrees is -1.0; needs 0 or more"),
        ("train.splits", ["val"], r"train.splits is \['val'\]; needs \[train\], or \[train, val\]"),
        ("train.splits", ["train", "val"], "needs patience: 0"),
        ("train.validation.protocol", "9w9s", "train.validation.protocol is '9w9s'; needs one of 5w1s"),
        ("split.test", 0.9, "their sum below 1"),
        ("validate.max_unreadable_share", 1.0, "needs to lie in"),
        ("ingest.channels", 2, "ingest.channels is 2; needs 1"),
        ("ingest.size", 4, "ingest.size is 4; needs 8 to 1024"),
        ("episodes.protocols", {}, "episodes.protocols is empty"),
        ("episodes.protocols", {"../x": {"n_way": 5, "k_shot": 1, "within_group": False}}, "becomes a file name"),
        ("episodes.protocols.5w1s.n_way", 1, "episodes.protocols.5w1s.n_way is 1; needs at least 2"),
        ("episodes.protocols.5w1s.n_query", 0, "n_query is 0; needs at least 1"),
        ("episodes.protocols.5w1s.by_drawer", 1, "by_drawer is 1; needs a value of type bool"),
        ("episodes.protocols.5w1s.shots", 1, "unknown key episodes.protocols.5w1s.shots"),
        ("episodes.n_episodes", 1, "an interval needs at least 2"),
        ("gate.min_accuracy", {"7w1s": 0.5}, "gate.min_accuracy names '7w1s'; needs one of 5w1s"),
        ("gate.group_protocol", "7w1s", "gate.group_protocol is '7w1s'; needs one of 5w1s"),
        ("gate.reference", "3", "gate.reference is '3'; needs best, or the number of a version"),
        ("gate.reference", 0, "gate.reference is 0; needs best, or the number of a version"),
        ("gate.approval", "by hand", "gate.approval is 'by hand'; needs one of automatic, manual"),
        ("gate.approval_timeout", 0, "gate.approval_timeout is 0.0; needs more than 0 hours and at most a year"),
        ("gate.gallery_margin", 2, "gate.gallery_margin is 2.0; needs to lie in \\[0, 1\\], or null"),
        ("gate.gallery_loss", "stop", "gate.gallery_loss is 'stop'; needs one of wait, refuse"),
        ("gate.min_accuracy", {"5w1s": 98.0}, "gate.min_accuracy.5w1s is 98.0; needs to lie in"),
    ],
)
def test_a_wrong_value_is_told_in_one_line(path, value, message):
    with pytest.raises(ParamsError, match=message) as caught:
        params_from(changed(path, value))
    assert "\n" not in str(caught.value)


def test_a_file_of_an_older_kshot_is_told_all_keys_at_once_and_the_lines_to_add():
    whole = yaml.safe_load(DEFAULTS.read_text())
    old = yaml.safe_load(DEFAULTS.read_text())
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
    assert params_from(old) == params_from(yaml.safe_load(DEFAULTS.read_text()))


def test_groups_of_an_older_project_go_on_being_judged_by_its_first_protocol():
    old = changed("gate.group_protocol", ...)
    old["gate"]["min_accuracy"] = {"20w1s": 0.5, "5w1s": 0.8}
    with pytest.raises(ParamsError) as caught:
        params_from(old)
    assert caught.value.block[-1] == "    group_protocol: 20w1s"


def test_a_misspelt_key_is_told_before_the_one_that_it_leaves_missing():
    old = changed("gate.max_class_drop", ...)
    old["gate"]["max_class_dorp"] = 0.03
    with pytest.raises(ParamsError, match="did you mean gate.max_class_drop"):
        params_from(old)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "triplet", "margin": -0.1, "mining": "batch_all"}, "train.loss.margin is -0.1; needs 0 or more"),
        (
            {"loss": "triplet", "margin": None, "mining": "batch_all"},
            "train.loss.margin is null; the triplet loss needs one",
        ),
        (
            {"loss": "triplet", "margin": 0.5, "mining": None},
            "train.loss.mining is null; the triplet loss needs one",
        ),
        (
            {"loss": "triplet", "margin": 0.5, "mining": "hard"},
            "train.loss.mining is 'hard'; the triplet loss needs",
        ),
        ({"loss": "contrastive", "margin": 0.5, "mining": "batch_all"}, "the contrastive loss needs one of all_pairs"),
        ({"loss": "n_pair", "mining": "batch_all"}, "the n_pair loss takes none: set null"),
        ({"loss": "soft_margin_triplet", "mining": "batch_all"}, "loss needs one of batch_hard, easy_positive"),
        ({"loss": "nt_xent"}, "train.loss.temperature is null; the nt_xent loss needs one, such as 0.1"),
        ({"loss": "nt_xent", "temperature": 0.0}, "train.loss.temperature is 0.0; needs 0.001 to 100"),
        ({"temperature": 0.1}, "train.loss.temperature is 0.1; the prototypical loss has none: set null"),
        (
            {"distance": "cosine"},
            "distance is 'cosine'; the prototypical loss takes squared_euclidean, or null",
        ),
        ({"loss": "n_pair", "distance": "cosine"}, "train.loss.distance is cosine; the n_pair loss takes none"),
        (
            {"loss": "triplet", "margin": 5.0, "mining": "batch_hard", "l2_normalize": True},
            "train.loss.margin is 5; two unit vectors are at most 4 apart",
        ),
        (
            {"loss": "contrastive", "margin": 2.5, "mining": "all_pairs", "distance": "cosine"},
            "two unit vectors are at most 2 apart",
        ),
        (
            {"loss": "triplet", "margin": 0.5, "mining": "distance_weighted"},
            "set train.projection.l2_normalize: true and train.loss.distance: euclidean",
        ),
        (
            {"loss": "circle", "loss_arguments": {"mm": 1}},
            "train.loss.arguments: mm is no argument of circle",
        ),
        (
            {"loss": "circle", "loss_arguments": {"m": -1}},
            "loss.arguments: m of circle is -1.0; needs to be above",
        ),
        ({"loss": "fast_ap", "loss_arguments": {"num_bins": 2.5}}, "num_bins of fast_ap is 2.5; needs a whole number"),
        (
            {"loss": "cross_batch_memory", "loss_arguments": {"memory_size": 100}},
            "train.loss.arguments.memory_size is 100; needs to hold a batch of 360 images",
        ),
        ({"loss_arguments": {"alpha": 1}}, "the prototypical loss takes none: set {}"),
        ({"loss": "arcface", "margin": 0.5}, "train.loss.margin is 0.5; the arcface loss has none"),
        ({"mine_neighbours": 60}, "train.batch.mine_neighbours is 60 of train.batch.classes 60"),
        ({"classes_of_group": 1}, "train.batch.classes_of_group is 1; needs 2 or more, or null"),
        (
            {"classes_of_group": 20, "mine_every": 5},
            "classes_of_group is 20 and train.batch.mine_every 5; only",
        ),
        ({"mine_every": -1}, "train.batch.mine_every is -1; needs 0 or more"),
        ({"proxy_learning_rate": 0.0}, "train.loss.proxy_learning_rate is 0.0; needs to be above 0"),
    ],
)
def test_loss_margin_and_mining_must_go_together(changes, message):
    mapping = yaml.safe_load(DEFAULTS.read_text())
    set_train(mapping, **changes)
    with pytest.raises(ParamsError, match=message):
        params_from(mapping)


@pytest.mark.parametrize(
    ("content", "message"),
    [("train: [", "is not YAML"), ("- a\n- b", "holds list; needs a mapping"), ("", "holds NoneType")],
)
def test_a_file_that_is_no_mapping_is_told(tmp_path, content, message):
    (tmp_path / "params.yaml").write_text(content)
    with pytest.raises(ParamsError, match=message):
        load_params(tmp_path / "params.yaml")


def test_a_protocol_may_have_drawers_and_queries_of_its_own():
    episodes = load_params(DEFAULTS).episodes
    assert not episodes.protocols["5w1s"].by_drawer and episodes.queries(episodes.protocols["5w1s"]) == 15
    lake = Protocol(20, 1, within_group=True, by_drawer=True, n_query=1)
    assert episodes.queries(lake) == 1


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ParamsError, match="No such file or directory; needs a readable params.yaml"):
        load_params(tmp_path / "params.yaml")
    with pytest.raises(ParamsError, match="No such file or directory; needs a readable file of settings"):
        load_params(tmp_path / "photographs.yaml")


TIMM = {"backbone": "tf_efficientnet_lite0", "checkpoint": "weights.safetensors"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"adaptation": "frozen"},
            "nothing has trained: set train.network.pretrained or train.network.checkpoint",
        ),
        ({**TIMM, "adaptation": "frozen", "method": "maml", "n_way": 5}, "maml changes the whole network .* set full"),
        ({**TIMM, "adaptation": "frozen", "head_dim": 8}, "a projection has to be trained: set adaptation: projection"),
        ({**TIMM, "adaptation": "projection"}, "adaptation is projection; needs train.projection.dim"),
        ({**TIMM, "adaptation": "lora", "layer_decay": 0.5}, "only in full: set 1"),
        (
            {**TIMM, "adaptation": "some"},
            "train.network.adaptation is 'some'; needs one of full, lora, projection, frozen",
        ),
        ({"head_hidden": 8}, "hidden is 8 without a projection: set train.projection.dim too"),
        ({"layer_decay": 0.0}, "layer_decay is 0.0; needs to lie above 0"),
        ({"lora": {"rank": 0, "alpha": 16}}, "train.lora.rank is 0; needs at least 1"),
        ({"reduce": {"dim": 0, "whiten": False}}, "train.projection.reduce.dim is 0; needs at least 1"),
        ({"head_dim": 8, "reduce": {"dim": 9, "whiten": False}}, "reduce.dim is 9 of train.projection.dim 8"),
        ({"method": "siamese", "reduce": {"dim": 9, "whiten": False}}, "siamese learns to compare .* one of metric"),
    ],
)
def test_what_cannot_learn_or_be_reduced_that_way_is_told_in_one_line(changes, message):
    mapping = yaml.safe_load(DEFAULTS.read_text())
    set_train(mapping, **changes)
    with pytest.raises(ParamsError, match=message) as caught:
        params_from(mapping)
    assert "\n" not in str(caught.value)


def test_views_of_what_is_not_embedded_before_its_episode_are_told_in_one_line():
    mapping = yaml.safe_load(DEFAULTS.read_text())
    set_train(mapping, method="maml", n_way=5, loss="prototypical")
    mapping["evaluate"]["views"] = 5
    with pytest.raises(ParamsError, match="evaluate.views is 5; maml adapts the network .* set 1") as caught:
        params_from(mapping)
    assert "\n" not in str(caught.value)
    mapping["evaluate"]["views"] = "auto"
    assert params_from(mapping).evaluate.views == "auto"


@pytest.mark.parametrize("views", [1, 2, 5, "auto"])
def test_views_of_a_frozen_backbone_are_any(views):
    mapping = yaml.safe_load(DEFAULTS.read_text())
    set_train(mapping, **{**TIMM, "adaptation": "frozen"})
    mapping["evaluate"]["views"] = views
    assert params_from(mapping).evaluate.views == views
