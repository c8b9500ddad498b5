"""The demo: a repository with planted faults, reviewed before your eyes, and five scenes that show the laws at work.

`catalogue` builds the repositories (a pull request with faults drawn by seed, an attack, a broken library);
`scenes` plays the review and the five scenes on them.
"""
