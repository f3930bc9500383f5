"""The attributes that an emitted class has besides those of every nn.Module."""

OWN_METHODS = frozenset(("forward", "load", "preprocess", "predict", "reset_parameters"))
"""Names that an emitted class may define itself."""
OF_DICTS = frozenset(("clear", "items", "keys", "pop", "update", "values"))
"""Attributes of `nn.ModuleDict`."""
