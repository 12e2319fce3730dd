"""A function of the user's own, in a module beside the program."""


def number_of(n: int) -> int:
    """The number itself: computed by Python, in a process of its own."""
    return n
