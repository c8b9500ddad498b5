"""Scripts that run inside the sandbox on the hostile head: standard library only, plus griffe or yaml of the toolbox where named.

`analyzers.script` hands their source to `python -I -S -c`. They are ordinary modules so that the type checker and the tests see them;
the host itself borrows no more than the rules for names and for redaction.
"""
