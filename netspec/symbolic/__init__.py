"""Numbers with the expression that they came from, and conditions on them.

In:  the parameters and input channels of a module, as symbols with a value.
Out: `Dim`s and `Num`s that compute like Python's numbers and carry their expression, so that a
     backend can write `e1x1 + e3x3` where a shape rule added two channel counts.

expr        expressions and the numbers that carry them
conditions  the conditions of `if`s, in terms of those expressions
terms       both, with choices and items of lists in them: leaves, substitution, folding
facts       what is known of terms: bounds, and which conditions hold because others do
"""
