import numpy as np
import pandas as pd
import pytest
import torch

from kshot.data.episodes import EpisodeSet
from kshot.errors import CheckpointError
from kshot.lifecycle.data.packed import image_ids, label_names, read_classes, read_episodes, read_images, read_manifest
from kshot.lifecycle.project import layout
from kshot.lifecycle.stages.evaluation.predictions import feasible_protocols, predict, tables_of
from kshot.nets.embedding import Embedding, save_embedding
from kshot.nets.embedding_settings import settings_of
from kshot.statistics import mean_interval
from tests.lifecycle import packed_project
from tests.lifecycle.packed_project import PROTOTYPE
from tests.methods.toy import Tiny


@pytest.fixture(params=[False, True], ids=["upright", "rotations"])
def root(request, tmp_path):
    packed_project.write(tmp_path, rotations=request.param)
    torch.manual_seed(0)
    ingest = {"size": packed_project.SIZE, "channels": 1, "invert": True}
    settings = {"backbone": "conv4", "head_dim": None, "l2_normalize": False, "batch_norm": "eval", "ingest": ingest}
    save_embedding(Embedding(settings_of(settings)), tmp_path / layout.MODEL)
    return tmp_path


def by_loop(root):
    """Every query of protocol 3w1s answered one at a time: (episode, true label, answered label)."""
    from kshot.nets.embedding import load_embedding

    model, images, episodes = (
        load_embedding(root / layout.MODEL),
        read_images(root),
        read_episodes(root, "test", "3w1s"),
    )

    def embed_one(number):
        turned = np.rot90(images[number % len(images)], number // len(images)).copy()
        with torch.inference_mode():
            return model(torch.from_numpy(turned).permute(2, 0, 1)[None])[0]

    for e, (support, query, labels) in enumerate(zip(*episodes, strict=True)):
        means = [embed_one(ids[0]) for ids in support]
        for c, ids in enumerate(query):
            for number in ids:
                distances = [float((embed_one(number) - mean).norm()) for mean in means]
                yield e, int(labels[c]), int(labels[int(np.argmin(distances))])


def test_tables_agree_with_predicting_one_query_at_a_time(root):
    answers, classes = predict(root, root / layout.MODEL, PROTOTYPE), read_classes(root)
    loop = pd.DataFrame(by_loop(root), columns=["episode", "truth", "guess"])
    loop["right"] = loop["truth"] == loop["guess"]
    ours = {name: table[table["protocol"] == "3w1s"] for name, table in answers._asdict().items() if name != "points"}

    assert np.allclose(ours["episodes"]["accuracy"], loop.groupby("episode")["right"].mean())
    assert ours["summary"]["mean"].item() == pytest.approx(loop["right"].mean())

    wanted = loop.groupby("truth")["right"].agg(["size", "mean"])
    assert ours["classes"]["queries"].tolist() == wanted["size"].tolist()
    assert ours["classes"]["accuracy"].tolist() == pytest.approx(wanted["mean"].tolist())
    label = wanted.index[0]
    shares = loop[loop["truth"] == label].groupby("episode")["right"].mean()
    assert ours["classes"][["low", "high"]].iloc[0].tolist() == pytest.approx(mean_interval(shares)[1:])
    assert ours["classes"]["class"].tolist() == classes.loc[wanted.index, "class"].tolist()

    assert ours["groups"]["group"].tolist() == ["c"]
    assert ours["groups"]["accuracy"].item() == pytest.approx(loop["right"].mean())

    names = label_names(classes)
    wrong = loop[~loop["right"]].groupby(["truth", "guess"]).size()
    found = {(row["class"], row["predicted"]): row["count"] for row in ours["confusions"].to_dict("records")}
    assert found == {(names[truth], names[guess]): count for (truth, guess), count in wrong.items()}
    assert ours["confusions"]["low"].is_monotonic_decreasing
    for row in ours["confusions"].to_dict("records"):
        truth, guess = names.index(row["class"]), names.index(row["predicted"])
        offered = loop["episode"].isin(loop.loc[loop["truth"] == guess, "episode"])
        assert row["queries"] == (offered & (loop["truth"] == truth)).sum()
        assert row["rate"] == row["count"] / row["queries"]


def test_a_pair_is_asked_only_where_both_are_on_offer_and_one_lucky_episode_does_not_lead():
    labels = np.array([[0, 1], [0, 1], [0, 1], [0, 2], [3, 4]])
    guess = torch.zeros(5, 2, 10, dtype=torch.int64)
    guess[:, 1] = 1
    guess[:3, 0, :9] = 1  # class 0 for class 1: 27 of 30, met in three episodes
    guess[4, 0] = 1  # class 3 for class 4: 10 of 10, met in one
    ids = np.zeros((5, 2, 10), dtype=np.int64)
    classes = pd.DataFrame({"class": list("abcde"), "rotation": 0, "group": ""})
    found = tables_of(guess, EpisodeSet(ids[:, :, :1], ids, labels), classes)["confusions"]
    assert found[["class", "predicted", "count", "queries", "rate"]].to_numpy().tolist() == [
        ["a", "b", 27, 30, 0.9],
        ["d", "e", 10, 10, 1.0],
    ]
    assert found["low"].tolist() == pytest.approx([0.3576, 0.2065], abs=1e-4)  # Wilson: 0.9 of 3, 1.0 of 1


def test_answers_are_the_same_each_time(root):
    first, second = predict(root, root / layout.MODEL, PROTOTYPE), predict(root, root / layout.MODEL, PROTOTYPE)
    pd.testing.assert_frame_equal(first.episodes, second.episodes)
    assert first.episodes["protocol"].unique().tolist() == ["3w1s", "3w2s"]


def test_wrong_predictions_are_images_of_their_classes(root):
    shape = read_images(root).shape  # noise, so that many predictions are wrong
    np.save(root / layout.PACKED / "images.npy", np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    wrong, classes = predict(root, root / layout.MODEL, PROTOTYPE).wrong, read_classes(root)
    members = dict(zip(label_names(classes), image_ids(read_manifest(root), classes), strict=True))
    assert len(wrong) and wrong["protocol"].isin(["3w1s", "3w2s"]).all()
    for row in wrong.to_dict("records"):
        assert {row["image"], row["right_support"]} <= set(members[row["class"]].tolist())
        assert row["wrong_support"] in members[row["predicted"]]
        assert row["class"] != row["predicted"] and row["margin"] > 0
    first = wrong[wrong["protocol"] == "3w1s"]
    assert first["margin"].is_monotonic_decreasing and not first.duplicated(["class", "predicted"]).any()


def test_a_memory_network_is_asked_no_more_classes_than_it_has_labels():
    from kshot.evaluation.inference import Inference
    from kshot.methods.mann import Mann

    def episodes(n_way):
        return EpisodeSet(*(np.zeros((2, n_way, *shape), np.int32) for shape in ((1,), (3,), ())))

    sets, method = {"3w1s": episodes(3), "5w1s": episodes(5)}, Mann(Tiny(), 4, 1)
    own = Inference("mann", "method", "eval")
    assert list(feasible_protocols(sets, method, own)) == ["3w1s"]
    assert list(feasible_protocols(sets, method, Inference("mann", "prototype", "eval"))) == ["3w1s", "5w1s"]
    with pytest.raises(CheckpointError, match="has 4 labels, and each of 5w1s asks more classes: add 4w1s"):
        feasible_protocols({"5w1s": episodes(5)}, method, own)
