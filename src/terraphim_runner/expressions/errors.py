"""The two ways an expression goes wrong: it cannot be parsed, or it cannot be evaluated.

Neither text quotes a value that evaluation produced, for that value may be a secret.
"""


class ExpressionError(Exception):
    """The user's text is not a legal expression.

    ``offset`` and ``length`` count characters within the text that was given to the parser; whoever knows where
    that text stands in a file makes a ``Diagnostic`` of it. ``message`` is one lower-case sentence.
    """

    def __init__(self, message: str, *, offset: int, length: int = 1) -> None:
        self.message = message
        self.offset = offset
        self.length = length
        super().__init__(message)


class EvaluationError(Exception):
    """A legal expression has no value: bad JSON, a bad format string, or a limit that was reached."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)
