"""The contestants of the benchmark: one script for each, run by an interpreter of its own.

``worker.py`` is the process: it reads requests and answers them. The other files each know one library. They
are given arrays and settings, and return what is to be timed. They import nothing of minidet (but for the one
that measures minidet), and their library only when a case is prepared, by name: minidet itself depends on
none of them, and an interpreter that has one of them need not have minidet.
"""
