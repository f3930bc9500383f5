"""Diagrams of nets: boxes for layers and modules, wires for values.

In:  a `netspec.ir.Net`, how deep to open modules, direction, which metric to show.
Out: SVG, PNG, Graphviz's DOT, or an HTML page in which modules fold.

boxes         boxes and wires of each block
layering      boxes in rows, with few crossings
coordinates   places of boxes and wires
scene         everything that is drawn, with its place
style         colours, fonts, sizes
svg, png,     one format each; html comes with page.js, which places boxes again in the browser
dot, html
draw          a net to a picture in the format asked for
"""
