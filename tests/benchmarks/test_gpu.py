"""benchmarks/gpu.py in its form for the CPU: every part runs, so that a person with a card need not mend it."""

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def test_every_part_of_the_gpu_benchmark_runs_on_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / "benchmarks")
    import gpu

    out = tmp_path / "gpu.md"
    code = gpu.main(["--device", "cpu", "--out", str(out)])
    table = out.read_text()
    assert (code, "FAILED" in table) == (0, False), table
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"][2:]
    assert {row[0] for row in rows} == {
        "methods",
        "losses and minings",
        "beside pytorch-metric-learning",
        "training speed",
        "torch.compile",
        "deterministic",
        "MAML over tasks",
        "pixels",
        "evaluation",
    }
    checked = [row for row in rows if row[0] in ("methods", "losses and minings", "deterministic", "MAML over tasks")]
    assert len(checked) == 10 + 19 + 2 + 1 and {row[4] for row in checked} == {"ok"}
    assert "these figures measure nothing" in table
