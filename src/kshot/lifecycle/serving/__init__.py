"""The registered model: packaged with its code, so that MLflow can load it."""
