"""The doors of the house: where entries come from and where decisions go."""
