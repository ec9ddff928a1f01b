"""The built-in data set: letters of many scripts, drawn from fonts."""
