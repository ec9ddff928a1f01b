"""Verbs of the gallery service: run it, teach and query it, label the images of requests."""
