"""The shim: the host-side process that holds one environment and survives the server.

It owns the pipes, the capped output, the wait statuses, the ledger by action and the epoch fence, and it answers on a unix
socket in the environment's folder. It runs as ``python -I -S`` on the standard library alone, because its start is part of
every cold start.
"""
