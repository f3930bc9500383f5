"""Functions and classes that Keras lacks, of which emitted files get copies."""
