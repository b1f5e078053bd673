"""The networks of the fast path: one page each, kernel calls in the order of ``forward``."""
