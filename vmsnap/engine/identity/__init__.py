"""The records beside the images, which say of groups and layers what they are: `db rebuild`."""
