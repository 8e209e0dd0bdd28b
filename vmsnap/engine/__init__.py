"""What vmsnap does: one verb, one file; plus the journal and the pure planning of layers."""
