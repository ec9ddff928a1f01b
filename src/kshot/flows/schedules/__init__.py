"""Schedules and deployments of a project, and the process that serves them."""
