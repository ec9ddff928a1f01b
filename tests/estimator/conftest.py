"""Letters of the built-in data set, and a model trained on them in a few steps; tests change neither."""

from pathlib import Path

import pytest

import kshot
from tests.letters import few_letters


@pytest.fixture(scope="session")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return few_letters(tmp_path_factory)


@pytest.fixture(scope="session")
def model(letters: Path) -> kshot.FewShotModel:
    """Trained for 10 steps instead of 600, in batches of 10 classes instead of 60: enough to be better than chance."""
    return kshot.train(
        letters, loss="triplet", steps=10, classes_per_batch=10, images_per_class=4, device="cpu", progress=False
    )


@pytest.fixture(scope="session")
def held_out(letters: Path, model: kshot.FewShotModel) -> dict[str, list[Path]]:
    """The classes that the model was not trained on, with their images."""
    folders = {folder.relative_to(letters).as_posix(): folder for folder in sorted(letters.glob("*/*"))}
    names = [name for name in folders if name not in model.trained_on]
    return {name: sorted(folders[name].iterdir()) for name in names}
