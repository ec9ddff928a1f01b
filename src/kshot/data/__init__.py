"""Images, splits, episodes and batches: from files to the pixels that a network sees."""
