"""The params.yaml of a project: changed with its comments, with old names renamed, for one version of kshot."""
