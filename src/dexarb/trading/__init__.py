"""From opportunities to fills: valuation, strategies, the books and the loop that joins them."""
