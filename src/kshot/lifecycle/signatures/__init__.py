"""Signatures of persons: SSH keys, through `ssh-keygen -Y`, and the file in git with the keys that may sign."""
