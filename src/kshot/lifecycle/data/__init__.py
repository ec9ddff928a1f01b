"""Versions of the data, and their content in DVC's cache."""
