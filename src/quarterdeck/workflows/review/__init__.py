"""The review workflow: a pull request goes in, an evidence-backed report comes out."""
