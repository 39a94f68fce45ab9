"""Viewfinder: learn image representations without labels, and see what made them good."""

__version__ = "0.2.0"
