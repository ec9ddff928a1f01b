"""Distances between tasks, and how hard a task is for a model."""
