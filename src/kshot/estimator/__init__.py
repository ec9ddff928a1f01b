"""The public Python API: models, a scikit-learn classifier, training from a folder, evaluation on drawn episodes."""
