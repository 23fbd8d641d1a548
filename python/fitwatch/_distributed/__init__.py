"""Several processes that train together: stores, exchange, votes, heartbeat."""
