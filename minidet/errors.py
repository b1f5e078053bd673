"""The exception for input that minidet cannot use, and what its checks have in common."""

import numbers


class InputError(ValueError):
    """Something given to minidet cannot be used; the message is one line and names the value and the fix.

    It is a ``ValueError``, so ``except ValueError`` catches it too. The command line prints its
    message and exits with status 2.
    """


class LossOverflowError(InputError):
    """A loss is too large for its float type.

    Attributes
    ----------
    sample : int
        Its row among those the loss was given, for a caller who passed on only some of a batch.
    what, why : str
        The number at fault, and what came of it: the parts of the message.
    """

    def __init__(self, function: str, sample: int, what: str, why: str) -> None:
        super().__init__(f"{function}: {what} in sample {sample}, where {why}")
        self.sample, self.what, self.why = sample, what, why


def one_line(error: Exception) -> str:
    """Tell what an exception says on one line; its type if it says nothing."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__


def is_number(value: object) -> bool:
    """Tell whether ``value`` is a plain or NumPy number; text and None are not."""
    return isinstance(value, numbers.Real)


def is_share(value: object) -> bool:
    """Tell whether ``value`` is a number from 0 to 1."""
    return isinstance(value, numbers.Real) and 0 <= float(value) <= 1
