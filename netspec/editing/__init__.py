"""Help while a spec is being written.

In:  the path of a spec that changes, or a text with errors.
Out: diagnostics, or what changed in the net, after each save; a text with fewer errors.

language/   what an editor shows and offers for a text
server      the language server: that in LSP
mcp_server  the same functions for programs that write specs
live_page   the picture of a spec that is being watched
watch       checks a spec again whenever it or a file that it imports changes
fixing      carries out the fixes that diagnostics offer
"""
