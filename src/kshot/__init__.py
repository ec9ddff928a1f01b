"""kshot trains few-shot image classifiers, and records everything needed to audit, compare and reproduce each version.

Names are imported when they are first used, so that the command line starts without torch.
"""

import importlib

_MODULES = {
    "classifiers": "classifiers",
    "episodes": "data.episodes",
    "losses": "losses",
    "mining": "mining",
}
_NAMES = {
    "Client": "serve.client",
    "FewShotClassifier": "estimator.few_shot_classifier",
    "FewShotModel": "estimator.few_shot_classifier",
    "Interval": "statistics",
    "KshotError": "errors",
    "evaluate": "estimator.episode_accuracy",
    "load": "estimator.load_model",
    "train": "estimator.train_folder",
}

__all__ = [  # pyright and people read it; a test compares it with the two tables and with __init__.pyi
    "Client",
    "FewShotClassifier",
    "FewShotModel",
    "Interval",
    "KshotError",
    "classifiers",
    "episodes",
    "evaluate",
    "load",
    "losses",
    "mining",
    "train",
]


def __getattr__(name: str) -> object:
    if name in _MODULES:
        found: object = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    elif name in _NAMES:
        found = getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
