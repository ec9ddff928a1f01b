"""The record: data versions, checks, runs, registry and decisions around the science."""
