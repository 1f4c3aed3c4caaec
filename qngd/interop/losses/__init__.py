"""The derivatives of a user's loss, by the library that it is written in: NumPy, autograd, JAX or torch."""
