"""The model of reality: what gas costs, when we are included and where, who else is there, what a
token is worth. Each is one frozen value with a spec; `reality` has them together."""
