"""InfoMin (Tian et al. 2020) at desk scale."""
