"""Compares new images with those that a model was trained on."""
