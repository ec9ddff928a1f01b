"""Checks whether a record is true: each link from a model back to its data is verified from content."""
