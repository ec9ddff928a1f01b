"""The model that MLflow loads: a few labelled images and some without a label in, an answer for each of those out.

MLflow runs this file from the registered version, beside a copy of the science, so it imports nothing else of kshot.
Errors are MLflow's, because its scoring server tells the sender of no other.
"""

import base64
import binascii
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from kshot.answering import Answering, answering_method, load_answering, scorer
from kshot.distances import euclidean
from kshot.embedding import embed
from kshot.errors import DataError
from kshot.heads.table import Head
from kshot.images import decode, prepare
from kshot.methods.method import Method
from kshot.params import recorded_ingest
from kshot.prototypes import prototypes


class FewShot(PythonModel):
    """Answers few-shot questions by the head that it was measured with."""

    method: Method
    answering: Answering
    scores: Head

    def load_context(self, context: PythonModelContext) -> None:
        """Load the embedding that was registered, and how it answers."""
        folder = Path(context.artifacts["embedding"])
        self.answering = load_answering(folder)
        self.method = answering_method(folder, self.answering)
        self.scores = scorer(self.method, self.answering.head)

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """One row a query: label, probability, distance, perhaps unknown, in the order of the queries.

        Rows with a label are the support, rows without (None, NaN or '') the queries; any number of classes, any
        number of images each. `image` holds the bytes of a PNG or JPEG, or their base64. probability is the softmax
        of the head's scores (for prototypes minus the squared distances), distance the Euclidean one to the mean of the
        class that is answered, NaN for methods that adapt the network and have no space. A transductive head looks at
        all queries of the request together. unknown, where validation classes set a threshold: whether the query is
        farther from every class than that, and so perhaps of none. Raises
        MlflowException, INVALID_PARAMETER_VALUE, for a request that cannot be answered.
        """
        try:
            return self._answer(model_input)
        except DataError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None

    def _answer(self, model_input: pd.DataFrame) -> pd.DataFrame:
        if "image" not in model_input:
            raise DataError("the request has no column 'image'; needs image, and label for the support")
        labels = [_label(value) for value in model_input.get("label", pd.Series([None] * len(model_input)))]
        support = [row for row, label in enumerate(labels) if label]
        queries = [row for row, label in enumerate(labels) if not label]
        if not support or not queries:
            missing = "a label, so there is no support" if not support else "an empty label, so there is no query"
            raise DataError(f"no row has {missing}; needs labelled images and at least one without a label")
        points = self._embed(model_input["image"].tolist())
        names = sorted({labels[row] for row in support})
        places = torch.tensor([names.index(labels[row]) for row in support])
        known, asked = points[support][None], points[queries][None]
        try:
            scores = self.scores(known, places, asked, len(names))[0]
        except ValueError as error:
            raise DataError(f"head {self.answering.head} cannot answer this: {error}") from None
        probability, nearest = scores.softmax(1).max(1)
        distances = self._distance(known, places, asked, len(names))
        distance = distances.gather(1, nearest[:, None]).flatten()
        answers = pd.DataFrame(
            {
                "label": [names[place] for place in nearest.tolist()],
                "probability": probability.double().numpy(),
                "distance": distance.double().numpy(),
            }
        )
        threshold = self.answering.threshold(len(support) / len(names))
        if threshold is not None:
            answers["unknown"] = (distances.amin(1) > threshold).numpy()
        return answers

    def _distance(self, known: torch.Tensor, places: torch.Tensor, asked: torch.Tensor, n_way: int) -> torch.Tensor:
        if not self.method.has_space:
            return torch.full((asked.shape[1], n_way), torch.nan)
        return euclidean(asked, prototypes(known, places, n_way))[0]

    def _embed(self, pictures: list[Any]) -> torch.Tensor:
        ingest = recorded_ingest(self.method.embedding.settings)
        pixels = []
        for row, picture in enumerate(pictures):
            try:
                decoded = decode(_bytes(picture), ingest.channels)
            except DataError as error:
                raise DataError(f"row {row}: {error}; needs the bytes of a PNG or JPEG, or their base64") from None
            pixels.append(prepare(decoded, ingest))
        return embed(self.method, np.stack(pixels), np.arange(len(pixels)))


def _label(value: Any) -> str:
    return "" if pd.isna(value) else str(value)


def _bytes(picture: Any) -> bytes:
    if isinstance(picture, bytes | bytearray):
        return bytes(picture)
    try:
        return base64.b64decode("".join(picture.split()), validate=True)  # some encoders break lines
    except (binascii.Error, ValueError, AttributeError):
        raise DataError("it is neither bytes nor base64") from None


set_model(FewShot())
