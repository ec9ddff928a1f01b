"""The registered model: packaged with its code, loaded by MLflow."""
