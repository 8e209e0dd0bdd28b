"""What can be typed and what is shown: one verb group, one file; one printer."""
