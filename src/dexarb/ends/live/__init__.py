"""The live end: decisions go to the chain, and what became of them comes back out of the history.

`live_executor` is the fold (history and journal in, fills out; it never waits for anything), the
other files are what stands around it: signing, sending, and who may do what with the executor.
"""
