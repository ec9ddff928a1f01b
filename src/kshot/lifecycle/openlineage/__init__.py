"""OpenLineage events about flows and decisions: the run, its data version and the resulting model."""
