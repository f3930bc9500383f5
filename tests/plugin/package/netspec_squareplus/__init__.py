"""Two activations for netspec: squareplus and snake."""
