"""One parameter of a recipe in several values, with several seeds: what becomes of the accuracy."""
