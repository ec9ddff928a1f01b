"""What a person gives, as files: tables, archives, and the names in them, without knowledge of classes."""
