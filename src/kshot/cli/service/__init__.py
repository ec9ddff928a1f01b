"""Verbs of the gallery service: run it, teach and ask it, label what it was asked."""
