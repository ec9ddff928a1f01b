"""`kshot doctor`: what goes wrong on people's machines, found by looking, with the mend of each."""
