"""A run on disk: one SQLite file, described in docs/run-directory.md."""
