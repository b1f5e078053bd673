"""A contestant that computes a little, and goes wrong in the ways that the tests ask for."""

import os
import sys

import numpy as np


def versions():
    return {"fake": "1.0"}


def double(arrays, settings):
    print("a library that talks on standard output")
    runs = [lambda x=array: x * 2 * settings.get("factor", 1) for array in arrays.values()]
    return runs, lambda result: {"doubled": result, "threads": np.array(settings["threads"])}


def environment(arrays, settings):
    return [lambda: int(os.environ["OMP_NUM_THREADS"])], lambda result: {"threads": np.array(result)}


def fail(arrays, settings):
    raise RuntimeError("no such model")


def die(arrays, settings):
    print("killed by a bug", file=sys.stderr, flush=True)
    os._exit(3)


CASES = {"double": double, "environment": environment, "fail": fail, "die": die}
