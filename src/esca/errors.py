"""The one exception that users see."""


class EscaError(Exception):
    """A mistake in the input, told in one line: the file or field, and what was expected.

    The command line prints the message alone and exits with code 2. Anything else that escapes is
    a defect of esca and keeps its traceback.
    """
