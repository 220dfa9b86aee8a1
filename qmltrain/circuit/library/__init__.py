"""The library of a config: ansaetze, encodings and observables, each a function, and their registries."""
