"""Reads what a person imports: folders, archives and manifests, as one list of images."""
