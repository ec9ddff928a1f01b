"""Lake's official runs and the pairs of drawers, on a small archive and with weights that are not trained."""

import io
import subprocess
import sys
import zipfile
from importlib import util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from kshot.evaluation.inference import inference_of, save_inference
from kshot.methods.saving import save_method
from kshot.methods.table import build_method
from kshot.nets.embedding import Embedding
from kshot.nets.embedding_settings import settings_of

FOLDER = Path(__file__).parents[2] / "benchmarks/omniglot"
ALPHABETS, CHARACTERS, DRAWERS = ("Angelic", "Tengwar"), 21, 3


@pytest.fixture(scope="module")
def lake() -> ModuleType:
    spec = util.spec_from_file_location("lake_official", FOLDER / "lake_official.py")
    assert spec is not None and spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def names() -> list[str]:
    return [
        f"images_evaluation/{alphabet}/character{character:02d}/{character:04d}_{drawer:02d}.png"
        for alphabet in ALPHABETS
        for character in range(1, CHARACTERS + 1)
        for drawer in range(1, DRAWERS + 1)
    ]


def test_a_query_is_right_where_its_own_class_has_the_highest_score(lake: ModuleType) -> None:
    scores = torch.tensor([[3.0, 0.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    found = lake.accuracy(scores)
    assert found.inductive == pytest.approx(2 / 3)
    assert found.assignment == 1.0  # class 0 is taken by the first query, which is surer of it


def test_wilsons_interval_is_that_of_the_tables(lake: ModuleType) -> None:
    assert lake.wilson(395, 400) == pytest.approx((0.9875, 0.97106, 0.99464), abs=5e-5)
    share, low, high = lake.wilson(400, 400)
    assert (share, low, high) == pytest.approx((1.0, 0.99049, 1.0), abs=5e-5) and high <= 1


def test_each_ordered_pair_of_drawers_asks_the_same_20_characters(lake: ModuleType) -> None:
    found = lake.pairs_of_drawers([*names(), "images_background/Greek/character01/0001_01.png"])
    assert list(found) == [f"images_evaluation/{alphabet}" for alphabet in ALPHABETS]
    for runs in found.values():
        assert len(runs) == DRAWERS * (DRAWERS - 1)
        pairs = set()
        for run in runs:
            assert [Path(name).parent for name in run.support] == [Path(name).parent for name in run.query]
            assert len({Path(name).parent for name in run.support}) == 20
            ((teacher,), (asker,)) = ({name[-6:-4] for name in side} for side in run)
            pairs.add((teacher, asker))
        assert len(pairs) == len(runs) and all(teacher != asker for teacher, asker in pairs)


def test_the_script_prints_both_rows_of_a_model(
    lake: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    random = np.random.default_rng(0)
    with zipfile.ZipFile(tmp_path / "omniglot.zip", "w") as archive:
        for name in names():
            file = io.BytesIO()
            Image.fromarray(random.integers(0, 256, (16, 16), dtype=np.uint8)).save(file, "PNG")
            archive.writestr(name, file.getvalue())
    asked = [name for name in names() if "Tengwar" in name and "character21" not in name]
    rows = [
        f"{run},{support},{query}"
        for run in (1, 2)
        for support, query in zip(asked[0::DRAWERS], asked[run::DRAWERS], strict=True)
    ]
    (tmp_path / "runs.csv").write_text("\n".join(["run,support,query", *rows, ""]))
    torch.manual_seed(0)
    settings = {"backbone": "conv4", "head_dim": None, "l2_normalize": False, "batch_norm": "eval"}
    settings |= {"ingest": {"size": 16, "channels": 1, "invert": True, "crop": "none"}}
    method = build_method(
        {"name": "metric", "n_way": 2, "k_shot": 1, "arguments": {}}, Embedding(settings_of(settings))
    )
    save_method(method, tmp_path / "model")
    (tmp_path / "reports/evaluation").mkdir(parents=True)
    save_inference(inference_of("metric", "method", "eval"), tmp_path / "reports/evaluation")
    lake.main(tmp_path / "omniglot.zip", tmp_path / "runs.csv", tmp_path / "model")
    official, pairs_of_all = capsys.readouterr().out.splitlines()[2:]
    assert official.startswith("| official, 2 runs |") and official.endswith("| 40 |")
    assert pairs_of_all.startswith("| all pairs of drawers, 2 alphabets |") and pairs_of_all.endswith("| 240 |")


def test_the_manifest_names_class_split_and_drawer_of_each_image(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "omniglot.zip", "w") as archive:
        for name in ("images_background/Balinese/character01/0108_20.png", *names()):
            archive.writestr(name, b"")
    command = [sys.executable, FOLDER / "lake_manifest.py", tmp_path / "omniglot.zip"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert lines[0] == "path,class,group,split,drawer"
    place = "images_background/Balinese/character01"
    assert lines[1] == f"{place}/0108_20.png,{place},images_background/Balinese,val,images_background/Balinese/20"
    assert len(lines) == 2 + len(names()) and ",test,images_evaluation/Angelic/01" in lines[2]
