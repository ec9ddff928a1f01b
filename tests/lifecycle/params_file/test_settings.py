"""--set and --params: the whole file is checked, comments stay, an invalid value writes nothing."""

import hashlib
import shutil
from pathlib import Path

import pytest

from kshot.errors import ParamsError
from kshot.lifecycle.params_file import settings, settings_change
from kshot.params.schema import load_params

SHIPPED = Path(__file__).parents[3] / "params.yaml"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copy(SHIPPED, tmp_path)
    return tmp_path


def change(root: Path, *sets: str, overlay: Path | None = None) -> list[str]:
    text, changes = settings.plan(root, overlay=overlay, sets=sets)
    settings.write(root, text)
    return [str(change) for change in changes]


def test_nothing_to_change_keeps_every_byte(root: Path) -> None:
    assert change(root) == []
    assert (root / "params.yaml").read_bytes() == SHIPPED.read_bytes()


def test_one_value_changes_one_line_and_its_comment_stays(root: Path) -> None:
    (told,) = change(root, "train.validation.patience=7")
    assert told.startswith("train.validation.patience: ") and told.endswith(" -> 7")
    before, after = SHIPPED.read_text().splitlines(), (root / "params.yaml").read_text().splitlines()
    ((old, new),) = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert new.split("#")[1] == old.split("#")[1]
    assert load_params(root / "params.yaml").train.validation.patience == 7


@pytest.mark.parametrize("written", ["1e-5", "0.00001", "1.0e-05", "1E-5"])
def test_a_small_number_reads_back_as_that_number(root: Path, written: str) -> None:
    change(root, f"train.optimizer.learning_rate={written}")
    assert load_params(root / "params.yaml").train.optimizer.learning_rate == 1e-5


def test_lists_null_and_deep_keys(root: Path) -> None:
    change(
        root,
        "train.splits=[train, val]",
        "train.validation.patience=0",
        "train.projection.dim=32",
        "episodes.protocols.5w1s.n_way=6",
    )
    change(root, "train.projection.dim=null")
    params = load_params(root / "params.yaml")
    assert params.train.splits == ("train", "val")
    assert params.train.projection.dim is None
    assert params.episodes.protocols["5w1s"].n_way == 6


def test_values_keep_the_comments_and_what_is_so_already_keeps_every_byte(root: Path) -> None:
    same = {"split.seed": 0, "train.optimizer.layer_decay": 1, "ingest.invert": True}
    text, changes = settings.plan(root, values=same)
    assert (text, changes) == (SHIPPED.read_text(), [])
    protocols = {"3w1s": {"n_way": 3, "k_shot": 1, "within_group": False}}
    values = {"episodes.protocols": protocols, "train.validation.protocol": "3w1s", "gate.group_protocol": "3w1s"}
    text, _ = settings.plan(root, values={**values, "gate.min_accuracy": {"3w1s": 0.5}})
    settings.write(root, text)
    assert list(load_params(root / "params.yaml").episodes.protocols) == ["3w1s"]
    before, after = SHIPPED.read_text().splitlines(), text.splitlines()
    assert "    3w1s: {n_way: 3, k_shot: 1, within_group: false}" in after  # a line a protocol, as before
    remarks = [[line.partition("#")[2] for line in lines if "#" in line] for lines in (before, after)]
    assert remarks[0] == remarks[1]


def test_changes_are_one_block_and_names_that_went_are_no_null(root: Path, tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(
        "episodes: {protocols: {2w1s: {n_way: 2, k_shot: 1, within_group: false}}}\n"
        "train: {validation: {protocol: 2w1s}, projection: {dim: 32}}\n"
        "gate: {min_accuracy: {2w1s: 0.88}, group_protocol: 2w1s}\n"
    )
    _, changes = settings.plan(root, overlay=overlay)
    assert settings_change.changes_text(changes) == [
        "  episodes.protocols         without 5w1s, 5w5s, 20w1s, 20w5s; new 2w1s",
        "  train.projection.dim       null -> 32",
        "  train.validation.protocol  20w1s -> 2w1s",
        "  gate.min_accuracy          without 5w1s, 20w1s; new 2w1s 0.88",
        "  gate.group_protocol        5w1s -> 2w1s",
    ]
    _, changes = settings.plan(root, sets=["episodes.protocols.5w1s.n_way=6", "gate.min_accuracy.5w1s=0.7"])
    assert settings_change.changes_text(changes) == [
        "  episodes.protocols  5w1s.n_way 5 -> 6",
        "  gate.min_accuracy   5w1s 0.8 -> 0.7",
    ]


def test_the_weights_count_by_their_content(root: Path) -> None:
    def told(text: bytes, *sets: str) -> list[str]:
        (root / "start.safetensors").write_bytes(text)
        return change(root, *sets)

    one, other = (hashlib.md5(text).hexdigest() for text in (b"one", b"other"))
    named = "train.network.checkpoint: null -> start.safetensors"
    assert told(b"one", "train.network.checkpoint=start.safetensors") == [
        named,
        f"train.network.checkpoint_md5: null -> {one}",
    ]
    assert told(b"one") == []
    assert told(b"other") == [f"train.network.checkpoint_md5: {one} -> {other}"]
    (root / "start.safetensors").unlink()
    assert change(root) == []  # the stage that needs the file says that it is gone
    assert change(root, "train.network.checkpoint=null")[1] == f"train.network.checkpoint_md5: {other} -> null"


def test_an_overlay_merges_and_set_comes_after_it(root: Path, tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.yaml"
    protocols = "{5w1s: {n_way: 5, k_shot: 2, within_group: false}, 20w1s: {n_way: 20, k_shot: 1, within_group: false}}"
    overlay.write_text(f"train: {{steps: 11, seed: 5}}\nepisodes: {{protocols: {protocols}}}\n")
    change(root, "train.seed=9", overlay=overlay)
    params = load_params(root / "params.yaml")
    assert (params.train.steps, params.train.seed) == (11, 9)
    assert params.episodes.protocols["5w1s"].k_shot == 2
    assert set(params.episodes.protocols) == {"5w1s", "20w1s"}, "mappings of names stand alone"


def test_an_empty_mapping_empties(root: Path, tmp_path: Path) -> None:
    overlay = tmp_path / "row.yaml"
    change(root, "train.loss.name=circle", "train.loss.arguments={m: 0.3}")
    assert load_params(root / "params.yaml").train.loss.arguments == {"m": 0.3}
    overlay.write_text("train: {loss: prototypical, loss_arguments: {}}\n")
    change(root, overlay=overlay)
    assert load_params(root / "params.yaml").train.loss.arguments == {}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["train=5"], "train holds 5; needs a section of keys"),
        (["train.stepz=5"], "unknown key train.stepz; did you mean train.steps"),
        (["train.steps=many"], "train.steps is 'many'; needs a value of type int"),
        (["train.loss.margin=-1", "train.loss.name=contrastive"], "train.loss.margin is -1"),
        (["train.steps"], "write it like --set train.steps=500"),
        (["train.steps.more=5"], "train.steps is a value"),
        (["train.splits=[train"], "the value is not YAML"),
        (["train.steps=5", "nothing=1"], "unknown key nothing"),
    ],
)
def test_a_wrong_change_is_told_and_nothing_is_written(root: Path, wrong: list[str], told: str) -> None:
    with pytest.raises(ParamsError, match=told.replace("[", r"\[").replace("(", r"\(")):
        settings.plan(root, sets=wrong)
    assert (root / "params.yaml").read_bytes() == SHIPPED.read_bytes()


def test_a_failed_write_leaves_the_old_file_and_no_litter(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        settings.write(root, "new")
    assert [path.name for path in root.iterdir()] == ["params.yaml"]
    assert (root / "params.yaml").read_bytes() == SHIPPED.read_bytes()


@pytest.mark.parametrize(
    ("sets", "named"),
    [
        (["train.network.backbone=conv5"], "conv5"),
        (["train.network.features=[blocks.4]"], "conv4 has no named stages"),
        (
            [
                "train.network.backbone=tf_efficientnet_lite0",
                "train.network.features=[block.4]",
                "train.network.input_size=96",
            ],
            "'block.4'",
        ),
        (["train.network.backbone=tf_efficientnet_lite0", "train.network.input_size=16"], "at least 32"),
        (["train.network.input_size=8"], "at least 16"),
    ],
)
def test_a_backbone_that_cannot_be_created_is_refused_before_anything_is_written(
    root: Path, sets: list[str], named: str
) -> None:
    with pytest.raises(ParamsError, match=named):
        change(root, *sets)
    assert (root / "params.yaml").read_bytes() == SHIPPED.read_bytes()


def test_a_backbone_that_can_be_created_is_written(root: Path) -> None:
    change(
        root,
        "train.network.backbone=tf_efficientnet_lite0",
        "train.network.features=[blocks.4, output]",
        "train.network.input_size=96",
    )
    assert load_params(root / "params.yaml").train.network.features == ("blocks.4", "output")


def test_a_value_that_contains_itself_is_refused(root: Path) -> None:
    with pytest.raises(ParamsError, match="contains itself"):
        change(root, "train.augment=&a {x: *a}")
