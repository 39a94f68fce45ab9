"""Backbones, the papers' small networks, and heads."""
