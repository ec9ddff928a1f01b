"""Backbones and the embedding, their pretrained weights, and the device and memory that they use."""
