"""Packed images and features in files of a few thousand rows, the shards."""
