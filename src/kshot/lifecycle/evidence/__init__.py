"""Evidence about a version as standard files in one folder, and the check of that folder, which needs no kshot."""
