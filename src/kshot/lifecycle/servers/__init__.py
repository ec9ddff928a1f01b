"""Servers on this machine: protected by a token, and reachable on the loopback address only."""
