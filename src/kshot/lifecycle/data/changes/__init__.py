"""Changes of data/raw: images added, labelled or left out, and an earlier version restored."""
