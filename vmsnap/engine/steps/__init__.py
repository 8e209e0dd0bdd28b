"""The steps that operations are made of, each with its undo, each repeatable."""
