"""One module per stage of dvc.yaml; each reads its section of params.yaml and writes its files."""
