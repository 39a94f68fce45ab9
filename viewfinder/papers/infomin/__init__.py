"""Tian et al. 2020, "What Makes for Good Views for Contrastive Learning?" (InfoMin)."""
