"""The demonstration: a signed push of a real repository, its workflows in microVMs, the true verdict."""
