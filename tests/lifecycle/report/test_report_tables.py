"""The report over every table that evaluation can write: drawn at random, rendered completely, without `nan`."""

import json
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kshot.data.episodes import EpisodeSet
from kshot.lifecycle.project import layout
from kshot.lifecycle.report.page import ReportFacts, render
from kshot.lifecycle.report.sections import read_sections
from kshot.lifecycle.stages import evaluate
from kshot.lifecycle.stages.evaluation.predictions import Predictions, tables_of, wrong_table
from kshot.nets.points import Points


@st.composite
def evaluations(draw: st.DrawFn) -> tuple[dict[str, tuple[EpisodeSet, torch.Tensor]], pd.DataFrame]:
    """Protocols with their episodes and predictions, and the classes: few of each, in groups, turned, or neither."""
    n_classes = draw(st.integers(1, 6))
    groups = [draw(st.sampled_from(["", "Greek", "NA"])) for _ in range(n_classes)]
    turns = draw(st.sampled_from([1, 4]))
    classes = pd.DataFrame(
        [
            {"class": f"{number:03}", "group": group, "rotation": turn, "split": "test"}
            for number, group in enumerate(groups)
            for turn in range(turns)
        ]
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    protocols = {}
    for number in range(draw(st.integers(1, 2))):
        n_way = draw(st.integers(1, min(3, len(classes))))
        episodes, queries = draw(st.integers(1, 4)), draw(st.integers(1, 3))
        labels = np.stack([rng.permutation(len(classes))[:n_way] for _ in range(episodes)])
        guess = rng.integers(0, n_way, (episodes, n_way, queries))
        if draw(st.booleans()):
            guess[:] = np.arange(n_way)[:, None]  # all answered rightly
        ids = np.zeros((episodes, n_way, queries), dtype=np.int64)
        protocols[f"p{number}"] = (EpisodeSet(ids[:, :, :1], ids, labels), torch.from_numpy(guess))
    return protocols, classes


@settings(max_examples=60, deadline=None)
@given(evaluations(), st.integers(0, 3))
def test_the_report_copes_with_every_table_that_evaluation_can_write(
    evaluation: tuple[dict[str, tuple[EpisodeSet, torch.Tensor]], pd.DataFrame], confused_pairs: int
) -> None:
    protocols, classes = evaluation
    root = Path(tempfile.mkdtemp())
    try:
        parts: dict[str, list[pd.DataFrame]] = {}
        for name, (episodes, predicted) in protocols.items():
            for table, frame in tables_of(predicted, episodes, classes).items():
                frame.insert(0, "protocol", name)
                parts.setdefault(table, []).append(frame)
        frames = {name: pd.concat(found, ignore_index=True) for name, found in parts.items()}
        answers = Predictions(
            **frames, wrong=wrong_table([], classes), points=Points(np.zeros(1, dtype=np.int64), torch.zeros(1, 1))
        )
        (root / layout.EVALUATION).mkdir(parents=True)
        evaluate.write_tables(root / layout.EVALUATION, answers, confused_pairs)
        (root / layout.METRICS).write_text(json.dumps({"accuracy": evaluate.accuracy(answers), "geometry": {}}))
        text = render(root, ReportFacts(decision="champion", version="1"))
        assert not re.search(r"\bnan\b|\bNone\b", text)
        assert len(read_sections(root)["confusions"]) <= confused_pairs
    finally:
        shutil.rmtree(root)
