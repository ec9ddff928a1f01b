"""Deletes files that no kept model needs: proposes them with their size, deletes on request, protects champions."""
