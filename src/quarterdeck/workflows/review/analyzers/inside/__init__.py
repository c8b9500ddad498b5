"""Scripts that run inside the sandbox on the hostile head: standard library only, plus griffe or yaml of the toolbox where named.

The host never imports them to work with them: `analyzers.script` hands their source to `python -I -S -c`. They are ordinary modules so
that the type checker and the tests see them.
"""
