"""The kernels of the fast path, one per file; each names the readable operation it must agree with."""
