"""One module per data set: its rows, and how its truth and its results lie on disk."""
