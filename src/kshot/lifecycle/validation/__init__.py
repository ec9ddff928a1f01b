"""What must hold before a model is trained: checks, their page, and settings that fit the data."""
