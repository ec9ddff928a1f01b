"""Files that a person gives: tables, archives, and the names in them, without knowledge of classes."""
