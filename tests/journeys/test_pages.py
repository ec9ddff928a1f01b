"""Every block of README.md and of the pages in docs is run by a journey, or listed here with the reason why not."""

import re

from tests.journeys import (
    docs_steps,
    test_default_path,
    test_evidence,
    test_new_project,
    test_own_images,
    test_own_photographs,
    test_plugins,
    test_sweep,
)
from tests.journeys.blocks import Block, all_blocks

README, OMNIGLOT = "README.md", "benchmarks/omniglot/README.md"
STEPS = (
    *test_default_path.STEPS,
    *test_new_project.STEPS,
    *test_own_images.STEPS,
    *test_own_photographs.STEPS,
    *docs_steps.PRETRAINED,
    *test_plugins.STEPS,
    *test_sweep.STEPS,
    *test_evidence.STEPS,
)
BENCHMARK = "measures for minutes to hours on data that is not in the repository"
TEAM = "needs a team's servers, whose addresses it makes up; `make test-services` runs such servers"
STORY = "tests/services/story.py tells it, with its own data: `make test-services`"

# (page, pattern of the line): why no journey runs it.
NOT_RUN = {
    (README, "make test"): "it would run the tests within themselves; .ci/run runs it",
    (README, ".*omniglot.*"): BENCHMARK,
    (OMNIGLOT, ".*"): BENCHMARK,
    ("docs/losses.md", "python benchmarks/.*"): BENCHMARK,
    ("docs/scale.md", "python benchmarks/.*"): BENCHMARK,
    ("docs/tasks.md", ".*omniglot.*|.*rotations.*|python benchmarks/.*"): BENCHMARK,
    ("docs/drift.md", "kshot retrain|python benchmarks/.*"): BENCHMARK,
    ("docs/backbones.md", "npm .*|python benchmarks/.*|kshot data add emoji"): BENCHMARK,
    ("docs/audit.md", "git clone .*|export .*|.venv/bin/kshot reproduce champion"): "tests/lifecycle/reproduce does it",
    (
        "docs/evidence.md",
        "ssh-keygen -s .*|kshot attest .*-cert.pub|kshot attest .*--certificate .*|model_signing verify certificate .*",
    ): "tests/lifecycle/evidence/test_certificates.py makes certificates and runs both kinds",
    ("docs/forget.md", "kshot forget .*"): "deletes images for good: tests/lifecycle/forget does it",
    ("docs/operations.md", ".*example.org.*|.*[.][.][.].*|.*our-bucket.*|createdb .*|export .*|.*dvc push.*"): TEAM,
    ("docs/operations.md", "prefect server start .*"): TEAM,
    ("docs/operations.md", "kshot .*"): STORY,
    ("docs/promotion.md", "kshot approve 2 --by Grace"): STORY,
    (
        "docs/data.md",
        "kshot data show .*",
    ): "names versions that it makes up: tests/lifecycle/data_pages writes the pages",
    ("docs/serve.md", ".*"): "tests/docs/test_serve_page.py runs each, and tests/journeys/test_serve.py the service",
    (
        "docs/scale.md",
        "export RAY_ADDRESS=.*|kshot sweep .*|kshot retrain --set engine=ray .*",
    ): "names a cluster that it makes up: tests/services/test_ray_cluster.py sweeps and trains on one",
    ("docs/sweep.md", "kshot sweep .* --engine ray"): "needs a Ray cluster: tests/services/test_ray_cluster.py has one",
    (
        "docs/scale.md",
        "kshot retrain --set train.*",
    ): "tests/lifecycle/stages/test_train.py runs the stage in two processes",
    ("docs/schedule.md", "export .*|prefect .*|docker .*"): "tests/services/test_process_pool.py, test_prefect_yaml.py",
    ("docs/schedule.md", "kshot schedule .*--on-new-data.*"): STORY,
    ("docs/schedule.md", "KSHOT_NOTIFY=.*"): "notifies addresses that it makes up: tests/journeys/test_scheduled.py",
}
# How each block that has no command begins.
TEXT = (
    "  protocol  accuracy  95 % interval   episodes",
    "params.yaml              every setting, one section a stage",
    "birds/robin/001.jpg ",
    "  where               what ",
    "  data         erased ",
    "  feedback     ok ",
    '{"layout": 1, "store": "pixels", ',
    "pip install 'kshot[pipeline,photographs]'",
    "pip install 'kshot[pipeline,serve]'",
    "pip install 'kshot[pipeline,serve,ray-serve]'",
    "curl -F class=robin ",
    "ada@example.org ssh-ed25519 ",
    "settings:                                   # of params.yaml",
    "train.optimizer.learning_rate 0.001 -> ",
    "galleries, each example classified without itself",
    "cd evidence && python3 -c ",
    "server {",
    "[Service]",
    "grid:",
    "kshot: error: process 1 of 2 ",
    "left out 18 of 84 files:",
    "row.csv, row 9: ",
    "limit   = median + factor * (high - median) ",
    "z_c(w)   = exp(i w.m_c) exp(w'Sw / 2K_c) ",
    "outlyingness = mean over classes and directions of the squared Mahalanobis distance ",
)
PYTHON = {README, "docs/evidence.md", "docs/promotion.md", "docs/serve.md"}
PYTHON_PAGE = "docs/python.md"  # its blocks are Python, and tests/docs/test_python_page.py runs each


def lines() -> set[tuple[str, str]]:
    return {(block.page, command) for block in all_blocks() for command in block.commands}


def run() -> set[tuple[str, str]]:
    return {line for step in STEPS for line in step.on_pages}


def excused(page: str, command: str) -> bool:
    return any(page == on and re.fullmatch(pattern, command) for on, pattern in NOT_RUN)


def test_each_command_is_run_or_has_a_reason() -> None:
    assert sorted(line for line in lines() - run() if not excused(*line)) == []


def test_what_the_journeys_run_is_printed_on_its_page() -> None:
    assert sorted(run() - lines()) == []


def test_each_reason_is_needed() -> None:
    left = lines() - run()
    assert [
        each for each in NOT_RUN if not any(each[0] == on and re.fullmatch(each[1], line) for on, line in left)
    ] == []


def test_each_other_block_is_known() -> None:
    apart = (PYTHON_PAGE, test_plugins.PAGE)  # the blocks of the second are files, which its journey writes
    others = [block for block in all_blocks() if not block.commands and block.page not in apart]
    assert {block.page for block in others if block.is_python} == PYTHON
    begin = sorted(block.lines[0] for block in others if not block.is_python)
    assert len(begin) == len(TEXT)
    assert [line for line in begin if not line.startswith(TEXT)] == []


def test_commands_are_told_from_what_they_print_and_from_remarks() -> None:
    block = Block("a", ("kshot a --b 'c d'   # why", "kshot e \\", "  --f     a column", "", "$ kshot g", "  printed"))
    assert block.commands == ("kshot a --b 'c d'", "kshot e --f", "kshot g")
    assert Block("a", ("x = y", "kshot is no command here")).commands == ()
