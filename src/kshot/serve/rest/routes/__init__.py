"""The REST interface, one router for each part of it."""
