"""kshot: a retraining pipeline for few-shot image recognition."""
