"""What doctor can find: one small function for each finding, all of them listed in `all`."""
