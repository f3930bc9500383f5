"""The PyTorch backend of netspec."""
