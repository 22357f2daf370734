"""TOML in, settings out: files, names, mistakes, and what a reload would change."""
