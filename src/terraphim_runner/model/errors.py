"""Infrastructure trouble: what is neither the user's mistake nor a step's failure.

The user's mistakes are ``Diagnostic`` values (``model.source``); a step's failure is a ``StepResult``.
"""


class InfrastructureError(Exception):
    """Something outside of the workflow went wrong.

    ``doing`` says what was being done to what ("start the VM 'vm-1'"), ``reason`` what happened,
    ``fix`` what a person can do about it, ``retryable`` whether the same call may succeed later.
    """

    def __init__(self, *, doing: str, reason: str, fix: str | None = None, retryable: bool = False) -> None:
        self.doing = doing
        self.reason = reason
        self.fix = fix
        self.retryable = retryable
        super().__init__(f"could not {doing}: {reason}" + (f" ({fix})" if fix else ""))


class UsageError(Exception):
    """Bad input at a face of the product (command line, settings), told in one clear message."""
