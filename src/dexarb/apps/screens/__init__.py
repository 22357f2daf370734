"""The commands that show something: they read files and change none."""
