"""OpenLineage events about flows: what ran, on which data version, and which model came out."""
