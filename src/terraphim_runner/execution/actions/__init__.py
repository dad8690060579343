"""Actions: what ``uses:`` names. Each module runs one kind."""
