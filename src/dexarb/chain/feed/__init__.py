"""Block after block, each proven: `feed` is where to start, `way` decides without awaiting."""
