"""Training from a folder: the training and held-out classes, reproducibility from a seed, no leftover files."""

import random
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

import kshot
from kshot.errors import DataError, ParamsError
from kshot.estimator.class_folders import ClassFolders
from kshot.estimator.train_folder import divide
from tests.estimator.labelled import labelled

QUICK = {"steps": 2, "classes_per_batch": 4, "images_per_class": 3, "device": "cpu", "progress": False}


def folders(names: list[str], splits: dict[str, str] | None = None) -> ClassFolders:
    return ClassFolders({name: [Path(name) / "1.png"] for name in names}, splits or {}, [])


def test_classes_are_held_out_where_there_are_enough() -> None:
    names = [f"c{number:02d}" for number in range(60)]
    sizes = {count: tuple(map(len, divide(folders(names[:count]), 0)[:2])) for count in (2, 14, 15, 40, 60)}
    assert sizes == {2: (2, 0), 14: (14, 0), 15: (10, 5), 40: (34, 6), 60: (51, 9)}
    assert divide(folders(names), 0) != divide(folders(names), 1)


def test_whole_groups_are_held_out() -> None:
    names = [f"{group}/{letter}" for group in "ABCDEF" for letter in "abcde"]
    divided = divide(folders(names), 0)
    assert len({name[0] for name in divided.val}) == 1 and len(divided.val) == 5
    assert not {name[0] for name in divided.val} & {name[0] for name in divided.train}


def test_folders_of_splits_divide_and_test_is_not_used() -> None:
    splits = {"a": "train", "b": "train", "c": "val", "d": "test"}
    assert divide(folders(list("abcd"), splits), 0) == (("a", "b"), ("c",), ("d",))


def test_one_class_is_told() -> None:
    with pytest.raises(DataError, match=r"there is 1 class to train on \(a\); needs 2 or more"):
        divide(folders(["a"]), 0)


def test_the_model_is_better_than_chance_on_classes_that_it_has_not_seen(model, held_out) -> None:
    few = labelled(held_out, shots=0)
    assert len(held_out) == 6 and len(model.trained_on) == 32
    assert kshot.evaluate(model, few.queries, few.truth, n_way=5, k_shot=1).low > 0.4
    assert sorted(model.inference.thresholds) == [1, 5]


def test_the_same_seed_gives_the_same_model_and_leaves_no_trace(letters, held_out) -> None:
    queries = next(iter(held_out.values()))
    torch.manual_seed(5)
    random.seed(5)
    states = torch.get_rng_state(), random.getstate()
    mode = torch.are_deterministic_algorithms_enabled()
    one, same, other = (kshot.train(letters, seed=seed, **QUICK).transform(queries) for seed in (0, 0, 1))
    assert np.array_equal(one, same) and not np.allclose(one, other)
    assert torch.equal(torch.get_rng_state(), states[0]) and random.getstate() == states[1]
    assert torch.are_deterministic_algorithms_enabled() == mode


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "prototypical"},
        {"loss": "proxy_anchor", "reduce": {"dim": 8}},
    ],
)
def test_methods_and_losses_train_and_round_trip(letters, held_out, tmp_path, changes) -> None:
    few = labelled(dict(list(held_out.items())[:3]))
    trained = kshot.train(letters, **{**QUICK, **changes})
    trained.save(tmp_path)
    one, other = (
        model.fit(few.support, few.labels).predict_proba(few.queries)
        for model in (trained, kshot.load(tmp_path, device="cpu"))
    )
    assert np.array_equal(one, other)


def test_a_frozen_backbone_learns_a_head_on_its_features(letters, model, held_out, tmp_path) -> None:
    model.save(tmp_path)
    changes = {"checkpoint": str(tmp_path / "embedding.safetensors"), "adaptation": "head", "head_dim": 8}
    found = kshot.train(letters, **QUICK, **changes)
    assert found.transform(next(iter(held_out.values()))).shape[1] == 8


def test_few_classes_train_without_validation_and_have_no_threshold(letters, tmp_path) -> None:
    for number, place in enumerate(sorted(letters.glob("*/*"))[:3]):
        shutil.copytree(place, tmp_path / f"c{number}")
    (tmp_path / "c0/notes.txt").touch()
    with pytest.warns(UserWarning, match="left out, as no image by name, a mask, or in no class folder: c0/notes.txt"):
        found = kshot.train(tmp_path, steps=1, device="cpu", progress=False)
    assert found.trained_on == ("c0", "c1", "c2") and found.inference.thresholds == {}


def test_images_of_a_test_folder_are_never_trained_on(letters, tmp_path) -> None:
    for number, place in enumerate(sorted(letters.glob("*/*"))[:3]):
        shutil.copytree(place, tmp_path / f"train/c{number}")
        (tmp_path / f"test/c{number}").mkdir(parents=True)
        (tmp_path / f"test/c{number}/1.png").write_bytes(b"would stop the training if it were read")
    with pytest.warns(UserWarning, match="share classes, .*: test/ is not used"):
        assert kshot.train(tmp_path, steps=1, device="cpu", progress=False).trained_on == ("c0", "c1", "c2")


def test_a_progress_bar_and_one_line_are_shown(letters, capsys) -> None:
    with warnings.catch_warnings(action="error"):
        kshot.train(letters, **{**QUICK, "progress": True})
    out, err = capsys.readouterr()
    assert "32 classes to train on, 6 held out to validate" in out and "2/2" in err


def test_bad_input_is_told_before_any_step(letters, tmp_path) -> None:
    with pytest.raises(ParamsError, match=r"loss is 'tripplet'; .*did you mean triplet\?"):
        kshot.train(tmp_path / "missing", loss="tripplet")
    with pytest.raises(ParamsError, match="splits is a setting of projects"):
        kshot.train(letters, splits=["train"])
    shutil.copytree(sorted(letters.glob("*/*"))[0], tmp_path / "a")
    with pytest.raises(DataError, match=r"there is 1 class to train on \(a\)"):
        kshot.train(tmp_path)
    (tmp_path / "b").mkdir()
    (tmp_path / "b/1.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="class 'b' has 1 image; training needs 2 or more"):
        kshot.train(tmp_path)
    (tmp_path / "b/2.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"b/1.png.*: it is no image that can be read"):
        kshot.train(tmp_path)


def test_a_function_is_a_loss_and_one_that_is_none_is_refused(letters) -> None:
    seen = []

    def within(points: torch.Tensor, labels: torch.Tensor, *, scale: float = 1.0) -> torch.Tensor:
        seen.append((points.shape, scale))
        return scale * torch.stack([points[labels == label].var(0).sum() for label in labels.unique()]).mean()

    trained = kshot.train(letters, loss=within, loss_arguments={"scale": 2.0}, **{**QUICK, "steps": 2})
    assert seen == [((QUICK["classes_per_batch"] * QUICK["images_per_class"], 64), 2.0)] * 2
    assert "trained by within loss" in repr(trained)
    with pytest.raises(ParamsError, match=r"loss nothing of the caller .* cannot be called"):
        kshot.train(letters, loss=type("nothing", (), {"__call__": lambda self: None})(), **QUICK)
    with pytest.raises(ParamsError, match="loss is 'within'; needs one of"):
        kshot.train(letters, loss="within", **QUICK)  # its name alone, outside the call
