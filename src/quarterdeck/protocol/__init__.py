"""The vocabulary of Quarterdeck: ids, records, actions, environments, models, errors and ports.

Everything here is data or a Protocol. Nothing here does I/O, and nothing here imports
another room of the house; every other room imports this one.
"""
