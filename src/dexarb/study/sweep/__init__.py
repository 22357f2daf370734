"""Very many configurations on one history: the market is searched once and kept as columns, the
configurations run over it in blocks, on as many processes as there are."""
