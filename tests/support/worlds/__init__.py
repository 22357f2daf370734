"""Small worlds for tests: pools, the events and blocks that move them, and who trades on them.

`pools`, `events`, `blocks` and `engines` are what worlds are made of. The rest are worlds:
`small_chain`, three pools on which a test plants what it wants; `random_chain`, traders and
arbitrages on nine pools, any branch; `random_trading`, five tokens with prices and strategies of
every kind; `arrivals`, blocks in order of arrival with all that a history can hold.
"""
