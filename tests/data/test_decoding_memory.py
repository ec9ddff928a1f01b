"""The memory budget: blocks wait for each other, and a block that is too large runs alone."""

import threading
import time

from kshot.data.decoding_memory import SMALL, MemoryBudget


def most_at_once(budget: MemoryBudget, needed: int, blocks: int) -> int:
    """How many blocks of `needed` bytes the budget lets run at one time."""
    now, most, guard = 0, 0, threading.Lock()

    def block() -> None:
        nonlocal now, most
        with budget.holding(needed):
            with guard:
                now += 1
                most = max(most, now)
            time.sleep(0.05)
            with guard:
                now -= 1

    threads = [threading.Thread(target=block) for _ in range(blocks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return most


def test_as_many_blocks_run_as_the_budget_has_room_for() -> None:
    assert most_at_once(MemoryBudget(100), 40, 6) == 2


def test_a_block_larger_than_the_budget_runs_alone() -> None:
    assert most_at_once(MemoryBudget(100), 101, 3) == 1


def test_a_block_that_needs_little_waits_for_nothing() -> None:
    budget = MemoryBudget(1000 * SMALL)
    with budget.holding(budget.most):
        with budget.holding(1000):
            assert budget.taken == budget.most + 1000
        waiting = threading.Thread(target=most_at_once, args=(budget, 1001, 1))
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
    waiting.join(30)
    assert not waiting.is_alive() and budget.taken == 0


def test_what_a_failed_block_held_is_free_again() -> None:
    budget = MemoryBudget(100)
    try:
        with budget.holding(100):
            raise ValueError
    except ValueError:
        pass
    with budget.holding(100):
        pass
