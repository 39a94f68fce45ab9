"""Silva and Ramírez Rivera 2021: CARL."""
