"""The embedded chain: a local node with real contracts and busy traders."""
