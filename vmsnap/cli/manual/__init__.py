"""What is written from the app for those who do not ask `--help`: shells and man."""
