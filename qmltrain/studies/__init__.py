"""Studies of circuits over many draws of their parameters: trainability, expressibility, entanglement, landscapes.

Mathematics on plain objects: no config, no files (`qmltrain.scans` makes a job of it).
"""
