import pytest

from kshot.errors import ParamsError
from kshot.params.schema import load_params, params_from
from tests.params.changed_settings import changed, refused

DOUBLING = b"".join(b"a%d: &a%d {x: *a%d, y: *a%d}\n" % (n, n, n - 1, n - 1) for n in range(1, 30))


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
        ("episodes.protocols", "all", "episodes.protocols is 'all'; needs a mapping, or auto"),
        ("train", 3, "train holds 3; needs a section of keys"),
        ("evaluate.views", 3, "evaluate.views is 3; needs one of 1, 2, 5, auto"),
        ("split.by", "folder", "split.by is 'folder'; needs one of auto, table, group, class"),
        ("episodes.protocols.5w1s.by_drawer", 1, "by_drawer is 1; needs a value of type bool"),
        ("episodes.protocols.5w1s.shots", 1, "unknown key episodes.protocols.5w1s.shots"),
        ("gate.approval", "by hand", "gate.approval is 'by hand'; needs one of automatic, manual"),
        ("gate.gallery_loss", "stop", "gate.gallery_loss is 'stop'; needs one of wait, refuse"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line(path, value, message):
    refused(changed(path, value), message)


def test_whole_numbers_serve_as_floats_and_none_where_it_may():
    params = params_from(changed("train.optimizer.learning_rate", 1))
    assert type(params.train.optimizer.learning_rate) is float
    assert params.train.network.checkpoint is None


def test_a_misspelt_key_is_told_before_the_one_that_it_leaves_missing():
    old = changed("gate.max_class_drop", ...)
    old["gate"]["max_class_dorp"] = 0.03
    with pytest.raises(ParamsError, match="did you mean gate.max_class_drop"):
        params_from(old)


@pytest.mark.parametrize(
    ("content", "message"),
    [("train: [", "is not YAML"), ("- a\n- b", "is a list; needs sections"), ("", "is empty")],
)
def test_a_file_that_is_no_mapping_is_told(tmp_path, content, message):
    (tmp_path / "params.yaml").write_text(content)
    with pytest.raises(ParamsError, match=message):
        load_params(tmp_path / "params.yaml")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ParamsError, match="No such file or directory; needs a readable params.yaml"):
        load_params(tmp_path / "params.yaml")
    with pytest.raises(ParamsError, match="No such file or directory; needs a readable file of settings"):
        load_params(tmp_path / "photographs.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"train:\n  steps: 1\n  steps: 2\n", "line 3: train.steps is there twice; delete one of the two"),
        (b"train: {}\ningest: {}\ntrain: {}\n", "line 3: train is there twice"),
        (b"a: &a {x: *a}\n", "over 10,000 values with its aliases"),
        (b"a0: &a0 {x: 1}\n" + DOUBLING, "over 10,000 values with its aliases"),
        (b"a: " + b"{a: " * 3000 + b"}" * 3000, "nests its values too deeply"),
        (b"\xff\xfe", "is no UTF-8 .byte 0.; save it as UTF-8"),
        (b"# nothing\n", "is empty; needs sections"),
    ],
)
def test_a_file_whose_text_is_wrong_is_refused_with_the_place(tmp_path, content, message):
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(ParamsError, match=message):
        load_params(tmp_path / "params.yaml")
