"""Validation of the data before training: checks, their page, and settings that fit the data."""
