"""What is computed: gates, angles, circuits, encodings, ansatze and observables. Imports nothing above it."""
