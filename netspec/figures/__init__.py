"""Figures of a net beyond parameters, MACs and bytes; docs/figures.md defines each."""
