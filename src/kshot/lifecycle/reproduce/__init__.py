"""Rebuilds a registered model: runs its stages again from the record and compares the results."""
