"""What a decision came to on what the chain became, and the evidence of it."""
