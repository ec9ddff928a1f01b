"""The link `decision`: checks the decision of the gate or of a person against the evidence of that time."""
