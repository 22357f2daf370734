"""The embedded chain: a local node, the real contracts, and seeded traders who use them."""
