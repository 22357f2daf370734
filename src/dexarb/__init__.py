"""Paper-trades DEX arbitrage on live chain data, settled to the wei on what the chain became."""

__version__ = "0.1.0"
