"""Pages of data versions: classes in thumbnails, likely mistakes, and the changes between two versions."""
