"""Evidence for a decision and the rules that decide, as values."""
