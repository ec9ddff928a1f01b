"""Forgets images on request: lists their copies and results, deletes these, and records that it was on purpose."""
