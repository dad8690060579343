"""The syntax tree of an expression and of text with expressions in it.

Contract for the other packages (the parser may add node classes; these public names stay)."""
