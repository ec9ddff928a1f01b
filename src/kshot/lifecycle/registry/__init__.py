"""Registered versions, aliases, promotion and the history of both."""
