"""Forgets images on request: shows what holds them, deletes them everywhere, and records that it was on purpose."""
