"""The model that MLflow loads: takes some labelled and some unlabelled images, and predicts each unlabelled one.

MLflow runs this file from the registered version, next to a copy of the prediction code, so it imports nothing else of
kshot. Errors are MLflow's own, because its scoring server reports no others to the sender.
"""

import base64
import binascii
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from kshot.classifiers.classifier import Classifier
from kshot.data.image_formats import LARGEST
from kshot.data.images import decoded, prepare
from kshot.errors import DataError, NotConverged
from kshot.evaluation.inference import Inference, classifier_for, inference_method, load_inference
from kshot.evaluation.mean_distance import MeanDistance, mean_distance
from kshot.manifest import own_difference
from kshot.methods.method import Method
from kshot.nets.embedding import embed
from kshot.prototypes import prototypes

EXACT = 2**53  # integers up to here are exact as floats
PIXELS_A_REQUEST = 300_000_000  # in all images of a request: 25 photographs of 12 million each


class RequestRefused(MlflowException):
    """A request that cannot be predicted. Its message stays one line: MLflow's scoring server puts the whole request,
    with every image in base64, before the message of an exception."""

    def __init__(self, reason: str) -> None:
        self._reason = " ".join(reason.split())
        super().__init__(self._reason, error_code=INVALID_PARAMETER_VALUE)

    @property
    def message(self) -> str:
        return self._reason

    @message.setter
    def message(self, text: str) -> None:
        """Ignored: see above."""


class FewShot(PythonModel):
    """Few-shot prediction with the classifier that the model was evaluated with."""

    method: Method
    inference: Inference
    scores: Classifier
    between: MeanDistance

    def load_context(self, context: PythonModelContext) -> None:
        """Load the registered embedding and its inference settings."""
        folder = Path(context.artifacts["embedding"])
        if other := own_difference(folder.parents[1]):
            raise MlflowException(
                f"the model is not as it was registered: {other[0]}; `kshot audit` says more, and a version that is "
                "whole can be served instead"
            )
        self.inference = load_inference(folder)
        self.method = inference_method(folder, self.inference)
        self.scores = classifier_for(self.method, self.inference.classifier)
        self.between = mean_distance(self.method, self.inference.distance)

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Predict each query: label, score, distance and possibly unknown, one row per query in their order.

        Rows with a label are the support, rows without (None, NaN or '') the queries; any number of classes, any
        number of images each. `image` is the bytes of a PNG or JPEG, or their base64; `label` text or an integer.

        label     the predicted class, as text
        score     softmax over the classes of the classifier's scores (for prototypes: negative squared distances)
                  divided by the temperature that was fitted on validation classes for the nearest protocol, in [0, 1]:
                  the probability that the prediction is right if the query is of one of the classes. A model that
                  was trained on the validation classes has no temperature, and its score is no probability
        distance  to the mean of the predicted class: Euclidean, or 1 - cos if the classifier compares by cosine; NaN
                  for methods without a fixed embedding
        unknown   whether the query is farther from every class than the threshold; only if validation classes set one

        A transductive classifier uses all queries of the request together. Requests may come from several threads at
        once. Raises MlflowException, INVALID_PARAMETER_VALUE, for a request that cannot be predicted.
        """
        try:
            return self._answer(model_input)
        except DataError as error:
            raise RequestRefused(str(error)) from None

    def _answer(self, model_input: pd.DataFrame) -> pd.DataFrame:
        if "image" not in model_input:
            raise DataError("the request has no column 'image'; needs image, and label for the support")
        model_input = _one_row_an_image(model_input)
        values = model_input.get("label", pd.Series([None] * len(model_input)))
        labels = [_label(row, value) for row, value in enumerate(values)]
        support = [row for row, label in enumerate(labels) if label]
        queries = [row for row, label in enumerate(labels) if not label]
        if not support or not queries:
            missing = "a label, so there is no support" if not support else "an empty label, so there is no query"
            raise DataError(f"no row has {missing}; needs labelled images and at least one without a label")
        points = self._embed(model_input["image"].tolist())
        names = sorted({labels[row] for row in support})
        places = torch.tensor([names.index(labels[row]) for row in support])
        support_points, query_points = points[support][None], points[queries][None]
        try:
            scores = self.scores(support_points, places, query_points, len(names))[0]
        except (ValueError, NotConverged) as error:
            raise DataError(f"classifier {self.inference.classifier} cannot predict this: {error}") from None
        shots = len(support) / len(names)
        score, nearest = (scores / (self.inference.temperature(len(names), shots) or 1)).softmax(1).max(1)
        distances = self._distance(support_points, places, query_points, len(names))
        distance = distances.gather(1, nearest[:, None]).flatten()
        predictions = pd.DataFrame(
            {
                "label": [names[place] for place in nearest.tolist()],
                "score": score.double().numpy(),
                "distance": distance.double().numpy(),
            }
        )
        threshold = self.inference.threshold(shots)
        if threshold is not None:
            predictions["unknown"] = (distances.amin(1) > threshold).numpy()
        return predictions

    def _distance(self, known: torch.Tensor, places: torch.Tensor, query: torch.Tensor, n_way: int) -> torch.Tensor:
        if not self.method.has_fixed_embedding:
            return torch.full((query.shape[1], n_way), torch.nan)
        return self.between(query.double(), prototypes(known.double(), places, n_way))[0]

    def _embed(self, sent: list[Any]) -> torch.Tensor:
        ingest = self.method.embedding.settings.ingest
        pixels = []
        left = PIXELS_A_REQUEST
        for row, value in enumerate(sent):
            try:
                with decoded(_bytes(value), ingest.channels, min(left, LARGEST)) as image:
                    left -= image.shape[0] * image.shape[1]
                    pixels.append(prepare(image, ingest))
            except DataError as error:
                raise DataError(f"row {row}: {error}; needs the bytes of a PNG or JPEG, or their base64") from None
        return embed(self.method, np.stack(pixels), np.arange(len(pixels)))


def _one_row_an_image(frame: pd.DataFrame) -> pd.DataFrame:
    """The request with one row per image: MLflow turns JSON `inputs` that are all text into one row of lists."""
    if len(frame) != 1 or not any(isinstance(value, list) for value in frame.iloc[0]):
        return frame
    try:
        return frame.explode(list(frame.columns), ignore_index=True)
    except ValueError:
        lengths = ", ".join(f"{name} {len(value)}" for name, value in frame.iloc[0].items())
        raise DataError(f"the columns differ in length ({lengths}); needs one label, or null, for each image") from None


def _label(row: int, value: Any) -> str:
    """The label as text; '' for a query. An integer reads as in JSON, although pandas turns a 1 next to a null
    into 1.0."""
    if value is None or value is pd.NA or (isinstance(value, float | np.floating) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float | np.floating) and float(value).is_integer() and abs(float(value)) < EXACT:
        return str(int(value))
    raise DataError(f"row {row}: its label is {value!r}; needs text, a whole number, or null for a query")


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    try:
        return base64.b64decode("".join(value.split()), validate=True)  # some encoders break lines
    except (binascii.Error, ValueError, AttributeError):
        raise DataError("it is neither bytes nor base64") from None


set_model(FewShot())
