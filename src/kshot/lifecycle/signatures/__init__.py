"""Signatures of persons: SSH keys, through `ssh-keygen -Y`, and the file in git that says whose keys may sign."""
