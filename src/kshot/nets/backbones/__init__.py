"""Backbones by name: kshot's own networks, timm's, plug-ins, and their pretrained weights."""
