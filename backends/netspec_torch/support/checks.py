"""Checks of constructors' arguments."""


def check_positive(**arguments: int) -> None:
    """Raise ValueError for an argument below 1."""
    for name, value in arguments.items():
        if value < 1:
            raise ValueError(f"{name} is {value}, but must be at least 1")


def positive(number: int, argument: str) -> int:
    """A number that an argument decides. Raises ValueError where it is below 1."""
    if number < 1:
        raise ValueError(f"{argument} is too small: {number} where 1 is the least")
    return number
