"""`kshot.load`: a trained model from a folder, or a registered version from an MLflow registry."""

from pathlib import Path

from kshot.estimator.few_shot_classifier import FewShotModel
from kshot.estimator.stored_model import stored_model


def load(model: str | Path, device: str = "auto") -> FewShotModel:
    """Load the model in a folder, or a registered one by its address.

    model: a folder that `FewShotModel.save` wrote, the folder model/ of a project (with the inference settings of the
    project's last evaluation), a folder that MLflow downloaded, or "models:/NAME@ALIAS" and "models:/NAME/VERSION" if
    mlflow is installed: in a project from its own store, elsewhere from the store that MLflow is set to.
    device: auto, cpu, cuda or mps. Raises CheckpointError for a folder without a complete model, RegistryError for an
    address that cannot be resolved, ParamsError for a device that this machine lacks.

    >>> import kshot
    >>> kshot.load("model/")  # doctest: +SKIP
    FewShotModel(conv4, trained by triplet loss, 28 x 28 grey, predicts by prototype)
    """
    return FewShotModel(*stored_model(model, device))
