"""Checks of constructors' arguments."""


def check_positive(**arguments: int) -> None:
    """Raise ValueError for an argument that is no whole number from 1 on."""
    for name, value in arguments.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} is {value!r}, but must be a whole number from 1 on")


def positive(number: int, argument: str) -> int:
    """A number that an argument decides. Raises ValueError where it is below 1."""
    if number < 1:
        raise ValueError(f"{argument} is too small: {number} where 1 is the least")
    return number
