"""What a folder of images means: levels of splits, files that are no member of a class, files of a system."""
