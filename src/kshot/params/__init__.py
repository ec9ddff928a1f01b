"""params.yaml as typed, frozen values."""
