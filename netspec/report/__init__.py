"""Tables of what a net is made of and what it costs."""
