"""What new images look like beside those that a model was trained on."""
