"""The engine of the gallery service: a registered model, the galleries embedded by it, and recognition."""
