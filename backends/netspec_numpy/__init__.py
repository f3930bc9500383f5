"""The NumPy backend of netspec."""
