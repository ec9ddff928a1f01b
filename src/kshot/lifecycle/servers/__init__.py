"""Servers on this machine: guarded, with a token, on the loopback address alone."""
