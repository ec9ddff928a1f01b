"""One training loop for every method, with its checkpoints and learning rates."""
