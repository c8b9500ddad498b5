"""Quarterdeck: a self-hosted, governed runtime for AI agents."""
