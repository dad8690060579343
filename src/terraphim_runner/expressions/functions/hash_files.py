"""``hashFiles(pattern, …)``: needs a disk, so that whoever evaluates supplies it."""

from typing import Final

from terraphim_runner.expressions.functions.signature import MANY, Function

HASH_FILES: Final = Function(name="hashFiles", minimum=1, maximum=MANY)
