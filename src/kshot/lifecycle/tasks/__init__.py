"""Compares tasks in the model's embedding space: the survey, its text and its page."""
