"""Registered versions, aliases, and decisions about them."""
