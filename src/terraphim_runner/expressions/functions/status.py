"""``success()``, ``failure()``, ``cancelled()`` and ``always()``: need to know the run.

Whoever evaluates supplies them. In a job's ``if`` the first two can be given job keys; elsewhere ``Availability``
forbids that.
"""

from typing import Final

from terraphim_runner.expressions.functions.signature import MANY, Function

SUCCESS: Final = Function(name="success", minimum=0, maximum=MANY)
FAILURE: Final = Function(name="failure", minimum=0, maximum=MANY)
CANCELLED: Final = Function(name="cancelled", minimum=0, maximum=0)
ALWAYS: Final = Function(name="always", minimum=0, maximum=0)
