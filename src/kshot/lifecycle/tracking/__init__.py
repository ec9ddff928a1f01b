"""MLflow runs: the store, the live run and its content."""
