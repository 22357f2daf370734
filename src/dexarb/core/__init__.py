"""The nouns. Integer money, frozen values; imports nothing else of dexarb but its errors."""
