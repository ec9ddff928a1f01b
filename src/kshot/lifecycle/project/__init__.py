"""The project folder: layout, settings, lock, git, files and text."""
