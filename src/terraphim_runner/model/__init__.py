"""The vocabulary that every floor shares: plain values, standard library only, no I/O."""
