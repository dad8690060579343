"""The functions of the language, one module each, and the table of them.

``success``, ``failure``, ``cancelled``, ``always`` and ``hashFiles`` need to know a run or a disk: only their
shape is here.
"""

from typing import Final

from terraphim_runner.expressions.availability import STATUS_FUNCTIONS
from terraphim_runner.expressions.functions.case import CASE
from terraphim_runner.expressions.functions.contains import CONTAINS
from terraphim_runner.expressions.functions.ends_with import ENDS_WITH
from terraphim_runner.expressions.functions.format import FORMAT
from terraphim_runner.expressions.functions.from_json import FROM_JSON
from terraphim_runner.expressions.functions.hash_files import HASH_FILES
from terraphim_runner.expressions.functions.join import JOIN
from terraphim_runner.expressions.functions.signature import Arguments, Function
from terraphim_runner.expressions.functions.starts_with import STARTS_WITH
from terraphim_runner.expressions.functions.status import ALWAYS, CANCELLED, FAILURE, SUCCESS
from terraphim_runner.expressions.functions.to_json import TO_JSON

ALL: Final = (
    *(CASE, CONTAINS, ENDS_WITH, FORMAT, FROM_JSON, JOIN, STARTS_WITH, TO_JSON),
    *(ALWAYS, CANCELLED, FAILURE, HASH_FILES, SUCCESS),
)

BY_LOWER_NAME: Final = {function.name.lower(): function for function in ALL}
BY_NAME: Final = {function.name: function for function in ALL}

__all__ = ["ALL", "BY_LOWER_NAME", "BY_NAME", "STATUS_FUNCTIONS", "Arguments", "Function"]
