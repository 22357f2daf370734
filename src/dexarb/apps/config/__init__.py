"""Configuration files: strict, with errors that name file, line, value and remedy."""
