"""What a person brings in: folders, archives and manifests, read as one list of images."""
