"""The sections of params.yaml as frozen values, one a file."""
