"""What runs over a history or a ledger and gives plain values. Shows nothing."""
