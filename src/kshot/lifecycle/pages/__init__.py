"""Self-contained pages: templates, plots and thumbnails without external resources."""
