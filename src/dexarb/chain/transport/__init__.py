"""How bytes reach a node and come back: `connect` gives the transport for a URL."""
