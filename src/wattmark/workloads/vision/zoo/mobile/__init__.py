"""Small networks of the study's fourteen."""
