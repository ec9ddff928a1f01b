"""The gallery store: galleries, classes, examples, keys and cached embeddings in a database; images in files.

Every change is one transaction that raises the gallery's revision. An image file is written before the row that names
it, and removed after the last row that names it, so that a process killed at any step leaves at most a file that no row
names; `sweep` removes those when the service starts.
"""
