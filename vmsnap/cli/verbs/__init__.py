"""The verbs: their options, examples and answers; one file a verb, or a group of small ones."""
