"""Tasks side by side in the model's space: the survey, its text and its page."""
