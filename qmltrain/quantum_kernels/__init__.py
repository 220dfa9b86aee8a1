"""Quantum kernels: Gram matrices of a data set, tile by tile in a file, and classical machines on top of them."""
