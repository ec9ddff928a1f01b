"""Compares new images with the data of the champion: the verdict, its text and its page."""
