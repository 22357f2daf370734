"""Telling somebody who does not look at a screen: what is wrong, and that it is well again."""
