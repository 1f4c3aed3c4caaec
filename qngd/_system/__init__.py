"""What Python and the machine are asked for: compilation, memory, threads, and the progress of long work.

Imports nothing of the house but `errors`.
"""
