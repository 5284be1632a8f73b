"""One function a figure, from a study's data to something that can be drawn."""
