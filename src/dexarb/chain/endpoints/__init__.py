"""Which node is asked, and what its trouble means. `dexarb.chain.rpc` is the face of it."""
