"""What netspec tells about itself: its ops, its diagnostics, its words."""
