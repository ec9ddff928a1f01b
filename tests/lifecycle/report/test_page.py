"""The report: one file that loads nothing external, shows the stages' results, and tolerates missing files."""

import base64
import dataclasses
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kshot.lifecycle.data.data_versions import DataVersion, enter
from kshot.lifecycle.pages.render import NONE, breakable, percent
from kshot.lifecycle.pages.svg import running_mean, ticks
from kshot.lifecycle.pages.thumbnails import data_address, of_label, read_thumbnails
from kshot.lifecycle.pipeline.durations import StageTime, Times
from kshot.lifecycle.project import layout
from kshot.lifecycle.report.embedding_map import embedding_map
from kshot.lifecycle.report.page import ReportFacts, headline, write_report
from kshot.lifecycle.report.sections import read_sections, scale
from tests.browser import CHROMIUM, width_on_phone
from tests.lifecycle.page_loads import loads

NASTY = '<script>alert("x")</script> & "more"'
CLASSES = ["Greek/alpha", "Greek/ beta two", f"{NASTY}/א ב", "NA", "007/1e5"]
FACTS = ReportFacts(
    lineage={"data version": "0a1b2c3d", "git commit": "<b>dirty</b>"},
    decision="champion",
    reasons=("20w1s: 91.00 % against 90.00 %", "a & b <i>"),
    version="3",
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Stage outputs of five classes of four images in two rotations, as small as they can be."""
    rng = np.random.default_rng(0)
    for place in (layout.PACKED, layout.SPLIT, layout.EPISODES, layout.MODEL, layout.EVALUATION):
        (tmp_path / place).mkdir(parents=True)
    groups = [name.rpartition("/")[0] for name in CLASSES]
    names = np.repeat(CLASSES, 4)
    np.save(tmp_path / layout.PACKED / "images.npy", rng.integers(0, 256, (20, 6, 6, 1), dtype=np.uint8))
    paths = [f"images/{i}.png" for i in range(20)]
    pd.DataFrame({"path": paths, "class": names, "group": np.repeat(groups, 4)}).to_parquet(
        tmp_path / layout.PACKED / "manifest.parquet"
    )
    pd.DataFrame(
        {"class": np.repeat(CLASSES, 2), "group": np.repeat(groups, 2), "rotation": [0, 1] * 5, "split": "test"}
    ).to_parquet(tmp_path / layout.SPLIT / "classes.parquet")
    for protocol, n_way in (("5w1s", 5), ("10w1s", 10)):
        ids = np.zeros((7, n_way, 1), dtype=np.int32)
        np.savez(tmp_path / layout.EPISODES / f"test-{protocol}.npz", support=ids, query=ids, classes=ids[..., 0])
    (tmp_path / layout.MODEL / "embedding.json").write_text(json.dumps({"ingest": {"invert": True}}))
    write_training(tmp_path)
    write_evaluation(tmp_path, groups)
    return tmp_path


def write_training(root: Path) -> None:
    lines: list[dict[str, object]] = [{"step": 10 * i, "loss": 3 / i, "images_per_s": 3000.0} for i in range(1, 41)]
    accuracies = [(100, 0.5), (200, 0.75), (300, 0.8125), (400, 0.8)]
    lines += [
        {"step": step, "val_accuracy": mean, "val_low": mean - 0.01, "val_high": mean + 0.01, "best": step != 400}
        for step, mean in accuracies
    ]
    lines.append({"step": 400, "done": True, "reason": "no better for 1 validation", "seconds": 61.5})
    (root / layout.TRAIN_LOG).write_text("".join(json.dumps(line) + "\n" for line in lines))


def share(mean: float) -> dict[str, float]:
    return {"accuracy": mean, "low": mean - 0.0125, "high": mean + 0.0125}


def write_evaluation(root: Path, groups: list[str]) -> None:
    scores = {
        "5w1s": {"mean": 0.98611, "low": 0.985, "high": 0.9872, "episodes": 1000},
        "10w1s": {"mean": 0.91, "low": 0.905, "high": 0.915, "episodes": 1000},
    }
    geometry = {"within": 0.5, "between": 1.25, "ratio": 0.4, "map_at_r": 0.75, "recall_at_1": 0.9375}
    inference = {"method": "maml", "classifier": "method", "by": "maml, transductive", "transductive": True}
    unknown = {
        "5w1s": {"threshold": 7.5, "accepted": 0.94, "false_accept": 0.1234, "auroc": 0.9876, "unknown": 70123},
        "10w1s": {"threshold": None, "accepted": None, "false_accept": None, "auroc": 0.8765, "unknown": 99},
    }
    calibration = {
        "5w1s": {"temperature": 12.5, "before": 0.0731, "after": 0.0058, "queries": 15000},
        "10w1s": {"temperature": None, "before": 0.0123, "after": None, "queries": 30000},
    }
    metrics = {
        "inference": inference,
        "views": {"chosen": 2, "protocol": "10w1s", "mean": 0.0071, "low": 0.0062, "high": 0.008},
        "accuracy": scores,
        "unknown": unknown,
        "calibration": calibration,
        "geometry": geometry,
    }
    (root / layout.METRICS).write_text(json.dumps({**metrics, "stream": {"5w1s": [0.3625, 0.8275]}}))
    folder = root / layout.EVALUATION
    kinds = sorted(set(groups))
    pd.DataFrame(
        [
            {"protocol": p, "group": g, "queries": 99, "accuracy": 0.9, "low": 0.88, "high": 0.92}
            for p in scores
            for g in kinds
        ]
    ).to_csv(folder / "groups.csv", index=False)
    pd.DataFrame(
        [
            {"protocol": p, "class": c, "rotation": r, "queries": 50, **share(0.8 + i / 100 + r / 200)}
            for p in scores
            for i, c in enumerate(CLASSES)
            for r in (0, 1)
        ]
    ).to_csv(folder / "classes.csv", index=False)
    pd.DataFrame(
        {
            "protocol": ["5w1s", "10w1s", "10w1s"],
            "class": ["NA", "Greek/alpha @90", CLASSES[2]],
            "predicted": ["007/1e5", "NA", "Greek/ beta two"],
            "count": [3, 12, 7],
            "queries": [50, 50, 50],
            "rate": [0.06, 0.24, 0.14],
            "low": [0.01, 0.1, 0.05],
        }
    ).to_csv(folder / "confusions.csv", index=False)
    pd.DataFrame(
        {
            "protocol": ["5w1s", "10w1s", "10w1s"],
            "episode": [0, 3, 4],
            "image": [0, 13, 21],  # 21: image 1, a quarter turn
            "class": ["Greek/alpha", "NA", "Greek/alpha @90"],
            "predicted": ["NA", "007/1e5", "NA"],
            "margin": [9.0, 8.0, 7.0],
            "right_support": [1, 14, 22],
            "wrong_support": [12, 17, 12],
        }
    ).to_csv(folder / "wrong.csv", index=False)
    rng = np.random.default_rng(1)
    pd.DataFrame(
        {
            "x": rng.normal(size=20),
            "y": rng.normal(size=20),
            "class": np.repeat(CLASSES, 4),
            "group": np.repeat(groups, 4),
            "image": np.arange(20),
        }
    ).to_csv(folder / "projection.csv", index=False)


class Page(HTMLParser):
    """The page's tags balanced, its text, and what it would load."""

    VOID = frozenset({"meta", "img", "wbr", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.feed(text)
        assert not self.open, f"left open: {self.open}"
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data + " "


def page(root: Path, facts: ReportFacts = FACTS) -> Page:
    return Page(write_report(root, root / layout.REPORT, facts).read_text(encoding="utf-8"))


def test_the_page_loads_nothing(project: Path) -> None:
    shown = page(project)
    assert any(address.startswith("data:image/png;base64,") for address in shown.loads)
    assert loads((project / layout.REPORT).read_text()) == []


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium")
def test_nothing_is_wider_than_a_narrow_phone(project: Path) -> None:
    slow = Times((StageTime("validate", "restored", 8.4, 725.0), StageTime("train", "ran", 345.0, 345.0)), 4000.0)
    facts = dataclasses.replace(FACTS, times=slow)
    assert width_on_phone(write_report(project, project / layout.REPORT, facts)) == 320


def test_it_is_written_whole_and_returned(project: Path) -> None:
    path = project / "new" / "folder" / "report.html"
    assert write_report(project, path, FACTS) == path
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_a_failure_leaves_the_old_page(project: Path) -> None:
    page(project)
    before = (project / layout.REPORT).read_bytes()
    (project / layout.METRICS).write_text("{")
    with pytest.raises(json.JSONDecodeError):
        write_report(project, project / layout.REPORT, FACTS)
    assert (project / layout.REPORT).read_bytes() == before


def test_the_same_outputs_give_the_same_page(project: Path) -> None:
    page(project)
    before = (project / layout.REPORT).read_bytes()
    page(project)
    assert (project / layout.REPORT).read_bytes() == before


def test_it_shows_the_verdict_and_why(project: Path) -> None:
    text = page(project).text
    assert "Version 3 became champion" in text
    assert "20w1s: 91.00 % against 90.00 %" in text and "a & b <i>" in text


@pytest.mark.parametrize(
    ("decision", "version", "expected"),
    [
        ("champion", "3", ("good", "Version 3 became champion on 2026-11-28")),
        ("challenger", "4", ("held", "Version 4 was not promoted on 2026-11-28")),
        ("waits for approval", "5", ("open", "Version 5, 2026-11-28: waits for approval")),
        (None, "6", ("open", "Version 6: nobody has decided yet")),
        (None, None, ("open", "This model is not registered")),
    ],
)
def test_the_headline_says_what_was_decided(
    decision: str | None, version: str | None, expected: tuple[str, str]
) -> None:
    assert headline(ReportFacts(decision=decision, version=version, on="2026-11-28")) == expected


def test_accuracies_stand_with_interval_question_and_chance(project: Path) -> None:
    text = page(project).text
    assert "98.61 % [98.50, 98.72]" in text and "[98.50, 98.72] 1,000" in text
    assert "5 classes, 1 example each, guessing 20 %" in text
    assert "10 classes, 1 example each, guessing 10 %" in text
    metrics = json.loads((project / layout.METRICS).read_text())
    metrics["episodes"] = {"protocols": {"10w1s": {"within_group": True}}}
    (project / layout.METRICS).write_text(json.dumps(metrics))
    assert "10 classes of one group, 1 example each" in page(project).text


def test_a_protocol_that_params_name_is_said_to_be_of_one_group(project: Path) -> None:
    metrics = json.loads((project / layout.METRICS).read_text())
    assert not metrics.pop("episodes", None)  # written only where params.yaml says `auto`
    (project / "params.yaml").write_text("episodes: {protocols: {10w1s: {n_way: 10, k_shot: 1, within_group: true}}}")
    assert "10 classes of one group, 1 example each" in page(project).text


def test_how_episodes_were_answered_and_unknown_queries_told_stands_beside_the_accuracies(project: Path) -> None:
    section = page(project).text
    assert "Predicted by maml, transductive" in section and "depends on the other queries" in section
    assert "0.988" in section and "70,123 unknown queries" in section and "12.34" in section
    assert "none: trained on the validation classes" in section
    assert "36.25" in section and "82.75" in section, "the stream's first and second instance"


def test_views_chosen_on_validation_classes_stand_with_what_they_gain(project: Path) -> None:
    assert "10w1s on validation classes changes by +0.71 points [+0.62, +0.80]: an embedding is the mean" in (
        page(project).text
    )


def test_calibration_stands_with_and_without_the_temperature(project: Path) -> None:
    section = page(project).text
    assert "5w1s 15,000 queries 0.58 % 7.31 % 12.5" in section
    assert f"10w1s 30,000 queries {NONE} 1.23 % {NONE}" in section
    assert "10w1s: no temperature fits best, as where every validation query is predicted correctly." in section


def test_unknown_queries_that_were_not_measured_are_said_to_be(project: Path) -> None:
    metrics = json.loads((project / layout.METRICS).read_text())
    metrics["unknown"] = {}
    (project / layout.METRICS).write_text(json.dumps(metrics))
    assert "was not measured: every test episode asks all test classes" in page(project).text


def test_what_not_to_trust_of_unknown_queries_and_probabilities_is_said_with_what_to_do(project: Path) -> None:
    plain = page(project).text
    assert "Of 100 images" not in plain and "makes the error larger" not in plain
    metrics = json.loads((project / layout.METRICS).read_text())
    metrics["unknown"]["10w1s"] |= {"false_accept": 0.8702}
    metrics["calibration"]["5w1s"] |= {"before": 0.0271, "after": 0.0541}
    (project / layout.METRICS).write_text(json.dumps(metrics))
    text = page(project).text
    assert "Of 100 images of none of the classes, 87 are taken for one of them at 10w1s: " in text
    assert "kshot gallery threshold GALLERY DISTANCE" in text and "evaluate.accept_known" in text
    assert "5w1s: the temperature makes the error larger" in text
    metrics["calibration"]["5w1s"] |= {"before": 0.0017, "after": 0.0094}
    (project / layout.METRICS).write_text(json.dumps(metrics))
    assert "makes the error larger" not in page(project).text, "an error below 2 % is no reason for a warning"


def test_curves_say_how_the_training_ended(project: Path) -> None:
    text = page(project).text
    assert "400 steps in 1 min 2 s; no better for 1 validation. Median throughput 3,000 images/s." in text
    assert "best 81.25 % at step 300" in text
    assert "step 300: 81.25 % [80.25, 82.25]" in text


def test_training_on_features_names_their_computation_apart(project: Path) -> None:
    log = project / layout.TRAIN_LOG
    log.write_text(log.read_text().replace("images_per_s", "features_per_s"))
    embed = StageTime("embed", "unchanged", 0.1, 19.0)
    shown = page(project, dataclasses.replace(FACTS, times=Times((embed,), 75.0))).text
    assert "computed before, in 19 s by the stage embed" in shown and "3,000 features/s" in shown
    assert "This retraining took 1 min 15 s" in shown and "embed unchanged 0.1 s 19 s" in shown
    assert "computed before, by the stage embed" in page(project).text, "where it was computed elsewhere"


def test_a_pair_is_told_by_the_queries_asked_while_both_were_on_offer(project: Path) -> None:
    assert "24 % when an episode contains both (12 of 50)" in page(project).text


def test_details_are_those_of_the_hardest_protocol(project: Path) -> None:
    sections = read_sections(project)
    assert sections["protocol"] == "10w1s"
    assert [(row["class"], row["count"]) for row in sections["confusions"]] == [
        ("Greek/alpha @90", 12),
        (CLASSES[2], 7),
    ]
    assert [row["label"] for row in sections["classes"]["hardest"]][:3] == [
        "Greek/alpha",
        "Greek/alpha @90",
        "Greek/ beta two",
    ]


def test_names_stay_text_and_are_escaped(project: Path) -> None:
    shown = page(project)
    for name in ("NA", "007/1e5", f"{NASTY}/א ב", "<b>dirty</b>"):
        assert "".join(name.split()) in "".join(shown.text.split())
    assert "<script" not in (project / layout.REPORT).read_text()


def test_thumbnails_are_turned_and_inverted_back(project: Path) -> None:
    thumbnails = read_thumbnails(project)
    assert thumbnails is not None
    images = np.load(project / layout.PACKED / "images.npy")
    [first, second] = of_label(thumbnails, "Greek/ beta two @90", 2)  # its images are 4 to 7
    for address, row in ((first, 4), (second, 7)):
        expected = 255 - images[row, :, :, 0][:, ::-1].T  # a quarter turn against the clock
        assert (pixels_of(address) == expected).all()
    assert data_address(thumbnails, 20 + 4) == first  # the image's id in the expanded space


def test_large_and_coloured_thumbnails_are_shrunk(project: Path) -> None:
    images = np.zeros((20, 200, 200, 3), dtype=np.uint8)
    images[..., 0] = 200
    np.save(project / layout.PACKED / "images.npy", images)
    (project / layout.MODEL / "embedding.json").unlink()
    thumbnails = read_thumbnails(project)
    assert thumbnails is not None
    pixels = pixels_of(data_address(thumbnails, 0))
    assert pixels.shape == (96, 96, 3) and np.abs(pixels.astype(int) - [200, 0, 0]).max() <= 4  # a JPEG


def pixels_of(address: str) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    with Image.open(io.BytesIO(base64.b64decode(address.partition(";base64,")[2]))) as image:
        return np.asarray(image)


OUTPUTS = [
    layout.METRICS,
    layout.TRAIN_LOG,
    layout.EPISODES / "test-5w1s.npz",
    layout.PACKED / "images.npy",
    layout.PACKED / "manifest.parquet",
    layout.SPLIT / "classes.parquet",
    layout.MODEL / "embedding.json",
    *(layout.EVALUATION / f"{name}.csv" for name in ("groups", "classes", "confusions", "projection", "wrong")),
]


@pytest.mark.parametrize("missing", OUTPUTS, ids=str)
def test_a_missing_output_does_not_break_the_page(project: Path, missing: Path) -> None:
    (project / missing).unlink()
    assert "Version 3 became champion" in page(project).text


@pytest.mark.parametrize("name", ["groups", "classes", "confusions", "projection", "wrong"])
@pytest.mark.parametrize("content", ["", "\n", "protocol\n"])
def test_an_empty_table_does_not_break_the_page(project: Path, name: str, content: str) -> None:
    (project / layout.EVALUATION / f"{name}.csv").write_text(content)
    assert "Version 3 became champion" in page(project).text


def test_nothing_at_all_gives_a_page_that_says_so(tmp_path: Path) -> None:
    text = page(tmp_path, ReportFacts()).text
    for words in ("not registered", "not been evaluated", "no training log", "No class was asked", "No lineage"):
        assert words in text


def test_data_without_groups_has_no_table_of_groups(project: Path) -> None:
    path = project / layout.EVALUATION / "groups.csv"
    pd.read_csv(path).assign(group="").drop_duplicates().to_csv(path, index=False)
    assert "By group" not in page(project).text


def test_one_class_and_one_step_are_enough(project: Path) -> None:
    (project / layout.TRAIN_LOG).write_text('{"step": 1, "loss": 0.0}\n')
    projection = project / layout.EVALUATION / "projection.csv"
    pd.read_csv(projection, keep_default_na=False).head(1).to_csv(projection, index=False)
    shown = page(project)
    assert "1 steps" not in shown.text and "1 step" in shown.text


def test_a_figure_that_could_not_be_measured_is_a_dash(project: Path) -> None:
    metrics = json.loads((project / layout.METRICS).read_text())
    metrics["geometry"]["map_at_r"] = None
    (project / layout.METRICS).write_text(json.dumps(metrics))
    assert f"at most 1 {NONE}" in page(project).text
    assert percent(float("nan")) == NONE and percent(None) == NONE and percent(0.98611) == "98.61 %"


def test_the_space_before_and_after_training_stands_beside_that_of_the_test_classes(project: Path) -> None:
    told = {"before": {"ratio": 0.875}, "after": {"ratio": 0.625}, "measured_on": "validation classes"}
    told |= {"parameters": {"learned": 1280, "total": 3_413_024}, "adaptation": "LoRA of rank 8 beside 3 layers: conv"}
    (project / layout.SPACE).write_text(json.dumps(told))
    shown = page(project).text
    assert "lower is better 0.875 0.625 0.4" in shown
    assert "1,280 of 3,413,024 parameters learned: LoRA of rank 8 beside 3 layers: conv." in shown
    assert "Before and after were measured on validation classes." in shown


def test_a_method_that_adapts_has_no_space_and_the_page_says_why(project: Path) -> None:
    metrics = json.loads((project / layout.METRICS).read_text())
    (project / layout.METRICS).write_text(json.dumps({**metrics, "geometry": {}}))
    (project / layout.EVALUATION / "projection.csv").write_text("x,y,class,group,image\n")
    assert page(project).text.count("an image has no fixed place") == 2


@pytest.mark.parametrize("name", ["\ud800", "a\x00b", "]]>", "\u202egnp.exe"])
def test_odd_names_are_written(project: Path, name: str) -> None:
    page(project, ReportFacts(lineage={name: name}, decision=name, reasons=(name,), version=name))


def test_the_share_that_still_pushes_is_drawn_where_a_loss_has_one(project: Path) -> None:
    assert "still push" not in page(project).text
    lines = [{"step": 10 * i, "loss": 1.0, "active": 0.5 / i, "images_per_s": 100.0} for i in range(1, 41)]
    (project / layout.TRAIN_LOG).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "still push" in page(project).text and "run dry" not in page(project).text
    lines[-1]["active"] = 0.001
    (project / layout.TRAIN_LOG).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "below 1 % at the end: mining has run dry" in page(project).text


def test_no_number_in_a_plot_is_nan(project: Path) -> None:
    (project / layout.TRAIN_LOG).write_text('{"step": 5, "loss": 2.0}\n{"step": 10, "loss": 2.0}\n')
    page(project)
    assert not re.search(r"\bnan\b|\binf\b", (project / layout.REPORT).read_text())


def test_ticks_are_round_and_hold_the_values() -> None:
    assert ticks(0.0, 97.0, 5) == [0, 20, 40, 60, 80, 100]
    assert ticks(0.13, 0.41, 5) == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert ticks(91.2, 99.7, 5, 100.0) == [90, 92, 94, 96, 98, 100]
    assert ticks(100.0, 100.0, 5, 100.0)[-1] == 100
    assert ticks(0.0, 0.0, 5)[0] == 0


def test_the_scale_holds_every_interval() -> None:
    for low in (0.0, 0.2, 0.5, 0.873, 0.98, 0.9999, 1.0):
        made = scale([{"low": low, "high": 1.0}])
        assert made["start"] <= 100 * low
        assert made["start"] + made["span"] == 100
        assert made["ticks"][-1] == pytest.approx(100) and 2 <= len(made["ticks"]) <= 8


def test_the_running_mean_is_the_mean_of_a_window() -> None:
    values = np.arange(100.0) ** 2
    smooth = running_mean(values, share=0.04)
    assert smooth[50] == pytest.approx(np.mean(values[48:53]))
    assert smooth[0] == pytest.approx(np.mean(values[:3]))


def test_the_map_keeps_one_scale_for_both_directions() -> None:
    table = pd.DataFrame({"x": [0, 1, 0], "y": [0, 0, 0.5], "class": "a", "image": [0, 1, 2]})
    made = embedding_map(table, None)
    assert made is not None
    corner, right, above = made["classes"][0]["points"]
    across = (float(right["left"]) - float(corner["left"])) / 100 * made["width"]
    up = (float(corner["top"]) - float(above["top"])) / 100 * made["height"]
    assert across == pytest.approx(2 * up, abs=0.1)


def test_a_large_map_shows_every_class_and_says_how_many_images_it_shows(project: Path) -> None:
    rng = np.random.default_rng(1)
    names = np.repeat(CLASSES, 400)
    table = {"x": rng.normal(size=2000), "y": rng.normal(size=2000), "class": names, "group": "", "image": 0}
    pd.DataFrame(table).to_csv(project / layout.EVALUATION / "projection.csv", index=False)
    assert "360 of 2,000 test images of 5 classes" in page(project).text
    made = read_sections(project)["map"]
    assert [len(one["points"]) for one in made["classes"]] == [72] * 5


def test_marks_of_the_map_can_be_reached_with_the_keyboard(project: Path) -> None:
    shown = page(project)
    assert shown.tags.count("input") == 20, "one radio button per image: Tab enters the map, arrow keys move in it"
    text = (project / layout.REPORT).read_text()
    assert 'aria-label="NA, 12.png"' in text and ".point:focus-within .pop" in text


def test_wrong_predictions_stand_beside_the_support_images_of_both_classes(project: Path) -> None:
    thumbnails = read_thumbnails(project)
    assert thumbnails is not None
    rows = read_sections(project)["wrong"]
    assert [(row["class"], row["predicted"]) for row in rows] == [("NA", "007/1e5"), ("Greek/alpha @90", "NA")]
    turned = rows[1]
    assert [turned[side]["address"] for side in ("query", "right", "taken_for")] == [
        data_address(thumbnails, image) for image in (21, 22, 12)
    ]
    assert [turned[side]["file"] for side in ("query", "right", "taken_for")] == ["1.png", "2.png", "12.png"]
    text = page(project).text
    assert "2 wrong predictions" in text and "own class Greek/ alpha @90 2.png taken for NA 12.png" in text


def test_an_older_evaluation_without_wrong_predictions_says_so_and_none_wrong_is_said(project: Path) -> None:
    path = project / layout.EVALUATION / "wrong.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    assert "Every query was predicted correctly." in page(project).text
    path.unlink()
    assert "did not store its wrong predictions" in page(project).text


def test_a_class_has_accuracy_interval_queries_and_images(project: Path) -> None:
    assert "Greek/ alpha 80.0 % [78.75, 81.25]" in page(project).text
    assert "[78.75, 81.25] 50 4" in page(project).text
    table = pd.read_csv(project / layout.EVALUATION / "classes.csv", keep_default_na=False)
    old = table.drop(columns=["low", "high"])  # tables of older models
    old.to_csv(project / layout.EVALUATION / "classes.csv", index=False)
    assert f"Greek/ alpha 80.0 % {NONE}" in page(project).text


def test_many_classes_are_listed_up_to_a_bound(project: Path) -> None:
    rows = [{"protocol": "10w1s", "class": f"c{i}", "rotation": 0, "queries": 5, **share(0.5)} for i in range(350)]
    pd.DataFrame(rows).to_csv(project / layout.EVALUATION / "classes.csv", index=False)
    text = page(project).text
    assert "The 288 easier ones" in text and "50 more classes are in reports/evaluation/classes.csv" in text


def test_what_was_left_out_is_listed_with_the_reason(project: Path) -> None:
    assert "Nothing is recorded as left out" in page(project).text
    (project / layout.PACKED / "unreadable.csv").write_text("path,class,reason\nimages/a/1.png,a,the file is empty\n")
    (project / layout.VALIDATION).mkdir(parents=True)
    small = {"left_out": ["not in episodes of 5w5s (20 images a class): 1 class, b (3)"]}
    (project / layout.VALIDATION / "validation.json").write_text(json.dumps(small))
    (project / layout.RAW_DVC).write_text(f"outs:\n- md5: {'a' * 32}.dir\n  size: 1\n  nfiles: 20\n  path: raw\n")
    version = DataVersion("a" * 32, "2026-11-28", 20, 5, 21, 1, "shop.zip", "", ("2 .txt: no image; such as b.txt",))
    enter(project, version)
    text = page(project).text
    assert "20 images of 5 classes" in text and "5 to test on" in text and "Nothing is recorded as left out" not in text
    for line in ("images/a/1.png cannot be read: the file is empty", small["left_out"][0], "2 .txt: no image; such as"):
        assert line in text


def test_a_page_of_photographs_is_small(project: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, 224, 224, 3), dtype=np.uint8)
    np.save(project / layout.PACKED / "images.npy", noise)
    table = pd.read_csv(project / layout.EVALUATION / "projection.csv", keep_default_na=False)
    many = pd.concat([table] * 40)
    many.to_csv(project / layout.EVALUATION / "projection.csv", index=False)
    page(project)
    assert (project / layout.REPORT).stat().st_size < 3_000_000, "even where every image is noise"


def test_names_break_after_folders_and_stay_escaped() -> None:
    assert breakable("a_b/<c>") == "a_<wbr>b/<wbr>&lt;c&gt;"
