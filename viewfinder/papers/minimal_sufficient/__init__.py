"""Wang et al. 2022: RC and LBE."""
