"""A crash between two writes to MLflow."""

from collections.abc import Iterable
from typing import Any

import pytest
from mlflow.tracking import MlflowClient


def crash_after(monkeypatch: pytest.MonkeyPatch, writes: int, methods: Iterable[str]) -> None:
    """Let `writes` calls of these methods of MLflow's client through; the next one raises KeyboardInterrupt."""
    left = writes

    def counted(write: Any) -> Any:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            return write(*arguments, **named)

        return wrapped

    for name in methods:
        monkeypatch.setattr(MlflowClient, name, counted(getattr(MlflowClient, name)))
