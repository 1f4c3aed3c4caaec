"""The version of this package, where all of it can ask."""

__version__ = "0.2.0"
