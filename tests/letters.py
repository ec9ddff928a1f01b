"""Letters of the built-in data set, drawn once for all processes of a test session."""

from pathlib import Path

import pytest

from kshot.glyphs.draw import draw
from tests.made_once import made_once


def few_letters(factory: pytest.TempPathFactory) -> Path:
    """38 letters, two a script, each by six drawers: SCRIPT/LETTER/NN.png; not to be changed."""
    return (
        made_once(factory, "letters", lambda folder: draw(folder / "letters", drawers=6, letters_a_script=2))
        / "letters"
    )
