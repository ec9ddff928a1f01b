"""A sweep's file: the trials in order, their identities, and one clear line for each file that is not valid."""

import shutil
from pathlib import Path

import pytest
import yaml

from kshot.errors import CheckpointError, ParamsError
from kshot.lifecycle.sweep import trials

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    return tmp_path


def read(root: Path, text: str, commit: str = "c0", data: str = "d0") -> tuple[trials.Trial, ...]:
    (root / "sweep.yaml").write_text(text)
    return trials.read(root, root / "sweep.yaml", commit, data)


def test_a_grid_is_every_combination_in_order_and_the_list_follows(root: Path) -> None:
    found = read(
        root, "grid: {train.loss.name: [prototypical, n_pair], train.seed: [0, 1]}\ntrials: [{train.steps: 5}]"
    )
    assert [one.sets for one in found] == [
        ("train.loss.name=prototypical", "train.seed=0"),
        ("train.loss.name=prototypical", "train.seed=1"),
        ("train.loss.name=n_pair", "train.seed=0"),
        ("train.loss.name=n_pair", "train.seed=1"),
        ("train.steps=5",),
    ]
    assert [one.number for one in found] == [1, 2, 3, 4, 5]
    assert [yaml.safe_load(one.params)["train"]["seed"] for one in found] == [0, 1, 0, 1, 0]


def test_the_empty_trial_is_params_yaml_as_it_is(root: Path) -> None:
    (one,) = read(root, "trials: [{}]")
    assert (one.text, one.command) == ("params.yaml as it is", "kshot retrain")
    assert yaml.safe_load(one.params) == yaml.safe_load((root / "params.yaml").read_text())


def test_the_command_is_one_that_a_shell_reads_as_it_was_meant(root: Path) -> None:
    (one,) = read(root, "trials: [{train.augment: {preset: photographs}, train.loss.arguments: {}}]")
    assert one.command == "kshot retrain --set 'train.augment={preset: photographs}' --set 'train.loss.arguments={}'"


def test_identity_is_that_of_the_settings_the_commit_and_the_data(root: Path) -> None:
    (one,) = read(root, "trials: [{train.seed: 1}]")
    (old_name,) = read(root, "grid: {train.seed: [1]}")
    assert old_name.identity == one.identity
    others = [read(root, "trials: [{train.seed: 2}]"), read(root, "trials: [{train.seed: 1}]", commit="c1")]
    others.append(read(root, "trials: [{train.seed: 1}]", data="d1"))
    assert len({one.identity, *(other.identity for (other,) in others)}) == 4
    # The gate decides about a registered model, not about a trial.
    text = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(text.replace("approval: automatic", "approval: manual"))
    assert read(root, "trials: [{train.seed: 1}]")[0].identity == one.identity


BAD = {
    "[1, 2]": "is a list; needs sections",
    "": "is empty; needs sections, as in `grid: .train.loss.name: .prototypical, triplet.",
    "{}": "holds nothing; needs grid or trials",
    "grd: {train.seed: [0]}": "holds grd; needs grid or trials, such as grid:",
    "grid: {}": "holds no trial; needs 1 to 1,000",
    "trials: []": "holds no trial",
    "grid: {train.seed: []}": r"grid has train.seed: \[\]; needs a list of values, such as \[0, 1\]",
    "grid: {train.seed: 3}": "grid has train.seed: 3; needs a list of values",
    "grid: [train.seed]": r"grid holds \[train.seed\]; needs dotted names",
    "trials: {train.seed: 1}": r"trials holds \{train.seed: 1\}; needs a list",
    "trials: [5]": "trials holds 5; needs dotted names",
    "trials: [{train.seed: 1}, {train.sede: 1}]": "trial 2 .train.sede=1.: .*unknown key train.sede; did you mean",
    "grid: {train.steps: [5, many]}": "trial 2 .train.steps=many.: .*train.steps",
    "grid: {train.loss.name: [n_pair, supervised_contrastive]}": "trial 2 .*temperature is null",
    "trials: [{train.seed: 1}, {train.steps: 600}, {train.seed: 1}]": "trials 1 and 3 are equal",
    "trials: [{episodes.n_episodes: 5}]": "trial 1 .*episodes.n_episodes changes the validation episodes",
    "trials: [{split.seed: 5}]": "split.seed changes the validation episodes",
    "trials: [{gate.approval: manual}]": "gate.approval does not change the validation accuracy; a sweep varies",
    "trials: [{evaluate.confused_pairs: 3}]": "evaluate.confused_pairs does not change the validation accuracy",
    "trials: [{train.splits: [train, val], train.validation.patience: 0}]": "train.splits has val",
    f"grid: {{train.seed: {list(range(40))}, train.steps: {list(range(1, 40))}}}": "holds 1,560 trials; needs 1 to",
}


@pytest.mark.parametrize("text", BAD, ids=[text[:50] for text in BAD])
def test_a_file_that_is_not_valid_is_refused_in_one_line(root: Path, text: str) -> None:
    with pytest.raises(ParamsError, match=BAD[text]) as raised:
        read(root, text)
    assert "\n" not in str(raised.value) and "sweep.yaml" in str(raised.value)


def test_a_file_that_is_not_there_is_named(root: Path) -> None:
    with pytest.raises(ParamsError, match="gone.yaml: No such file"):
        trials.read(root, root / "gone.yaml", "c0", "d0")


def test_a_checkpoint_that_is_no_file_is_refused_before_the_first_trial(root: Path) -> None:
    lines = "trials: [{}, {train.network.checkpoint: gone.safetensors}]"
    with pytest.raises(CheckpointError, match="trial 2 .*checkpoint is gone.safetensors, which is no file"):
        read(root, lines)
    (root / "gone.safetensors").touch()
    assert len(read(root, lines)) == 2
