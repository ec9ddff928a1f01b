"""How a model answers an episode, kept beside it: every figure of it says so, and it is served as it was measured."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from kshot.heads import TRANSDUCTIVE

ANSWERING = "answering.json"


@dataclass(frozen=True)
class Answering:
    """head, one of `kshot.heads`; batch_norm, whose statistics it takes: "eval" are those of training, so that no
    query helps another."""

    head: str
    batch_norm: str

    @property
    def transductive(self) -> bool:
        """Whether a query's answer depends on the other queries of its episode."""
        return self.head in TRANSDUCTIVE or self.batch_norm != "eval"


def save_answering(answering: Answering, folder: Path) -> None:
    """Write `answering` into `folder`."""
    text = json.dumps({**asdict(answering), "transductive": answering.transductive}, indent=2)
    (folder / ANSWERING).write_text(text + "\n", encoding="utf-8")


def load_answering(folder: Path) -> Answering:
    """What is written in `folder`; the nearest prototype where nothing is, as in models that are older than heads."""
    path = folder / ANSWERING
    if not path.exists():
        return Answering("prototype", "eval")
    found = json.loads(path.read_text(encoding="utf-8"))
    return Answering(found["head"], found["batch_norm"])
