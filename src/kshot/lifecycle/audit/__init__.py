"""Is what is recorded true? Each link from a model back to its data is verified from content, none is recited."""
