"""The packages that the benchmark compares, one module each; every one runs in an environment of its own."""
