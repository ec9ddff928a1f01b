import pytest

from tests.params.changed_settings import changed, refused, trained_with


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "train.loss.name",
            "tripled",
            r"loss.name is 'tripled'; needs one of prototypical, .*; did you mean triplet\?",
        ),
        ("train.loss.margin", 0.5, "the prototypical loss has none: set null"),
        ("train.loss.mining", "batch_all", "the prototypical loss takes none: set null"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(path, value, message):
    refused(changed(path, value), message)


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
    refused(trained_with(**changes), message)
