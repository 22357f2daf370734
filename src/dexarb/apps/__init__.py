"""The programs: each wires the layers below into something that a person starts."""
