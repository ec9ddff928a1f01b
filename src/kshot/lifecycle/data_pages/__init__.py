"""Pages of data versions: their classes in thumbnails, what is likely wrong in them, and what changed between two."""
