"""Tsai et al. 2021: CI-InfoNCE."""
