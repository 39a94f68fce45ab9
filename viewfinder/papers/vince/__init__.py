"""Wu et al. 2020: VINCE."""
