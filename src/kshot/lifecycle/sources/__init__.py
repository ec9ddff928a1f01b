"""Reads a folder, an archive or a manifest that a person imports as one list of images."""
