"""What is computed: gates, angles, circuits and observables; `library` has the ansaetze, encodings and observables of a
config, `interchange` the circuits of other programs. Imports nothing above it."""
