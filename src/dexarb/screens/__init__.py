"""What a command shows: a file or a few for each question, and what they share."""
