"""The one exception for input that minidet cannot use."""


class InputError(ValueError):
    """Something given to minidet cannot be used; the message is one line and names the value and the fix.

    It is a ``ValueError``, so ``except ValueError`` catches it too. The command line prints its
    message and exits with status 2.
    """
