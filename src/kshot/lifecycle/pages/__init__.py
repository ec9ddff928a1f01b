"""Self-contained pages: templates, plots and thumbnails that load nothing."""
