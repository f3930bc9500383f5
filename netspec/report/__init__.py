"""Tables of what a net is made of and what it costs.

In:  one or several `netspec.ir.Net`s, and options (depth, columns, another tool's counting).
Out: text, Markdown, CSV, JSON or HTML; differences between two nets; charts as SVG.

rows, columns, table    layers as a tree; one metric a column; cells in order
formats, json_output,   the table as text, Markdown, CSV; as JSON; as a page
html
compare, diff           nets side by side; what changed from one to the other
chart                   panels with axes, lines, dots and legends, for any numbers
sweep_table,            results of a sweep as a table, as a chart
sweep_chart
annotate                metrics as comments behind the lines of a spec
options, number_format  what options mean; numbers for people
"""
