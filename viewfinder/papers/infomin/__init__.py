"""InfoMin: Tian et al. 2020, What makes for good views for contrastive learning."""
