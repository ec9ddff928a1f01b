"""Distances between tasks, and the difficulty of a task for a model."""
