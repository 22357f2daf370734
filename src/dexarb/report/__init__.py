"""Plain tables in, numbers and pages out."""
