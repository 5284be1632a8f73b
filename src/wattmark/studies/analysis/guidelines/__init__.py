"""What a study's data carry as advice, and what they do not."""
