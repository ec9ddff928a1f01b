"""Data versions, and their content in DVC's cache."""
