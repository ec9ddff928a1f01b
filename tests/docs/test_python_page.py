"""The blocks of docs/python.md run one after another, as a reader would run them; 600 steps are reduced to 10."""

import re
from pathlib import Path

import pytest

from kshot.glyphs.draw import draw

PAGE = Path(__file__).parents[2] / "docs/python.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STEPS = "steps=600"


def test_every_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    draw(tmp_path / "letters", drawers=6, letters_a_script=2)
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) == PAGE.read_text(encoding="utf-8").count("```python") == 6
    assert sum(block.count(STEPS) for block in blocks) == 1
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block.replace(STEPS, "steps=10"), str(PAGE), "exec"), names)
    out = capsys.readouterr().out
    assert "FewShotModel(conv4, trained by triplet loss, 28 x 28 grey, predicts by prototype)" in out
    assert re.search(r"^\d+\.\d% \[\d+\.\d%, \d+\.\d%\]$", out, re.MULTILINE)
    assert "did you mean triplet?" in out
