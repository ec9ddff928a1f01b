"""The link `decision`: what the gate or a person decided, checked against what was known then."""
