"""The steps of a retraining around its stages."""
