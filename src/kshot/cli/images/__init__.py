"""Verbs about images: add them, describe them, measure them, find settings that fit them."""
