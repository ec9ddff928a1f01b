"""A project's folder: layout, settings, lock, git, files and text."""
