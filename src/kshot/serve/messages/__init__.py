"""Requests and responses of the gallery service, and the rules for the names in them."""
