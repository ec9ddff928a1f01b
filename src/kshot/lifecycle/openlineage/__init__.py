"""OpenLineage events about flows and decisions: what ran, on which data version, and which model came out."""
