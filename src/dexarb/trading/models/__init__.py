"""The model of reality: what gas costs, who else is there, what a token is worth."""
