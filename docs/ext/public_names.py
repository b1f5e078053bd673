"""The public names of minidet, each in the package where it is documented.

A package with ``__all__`` says itself what is public. Of a package without (``training``, ``viz``), every
module whose name has no underscore is public, with the functions and classes it defines.
"""

from __future__ import annotations

import ast
import inspect
import pkgutil
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

# In the order of the page "API". The packages of the command line and of the benchmark are no library.
PACKAGES = (
    "minidet",
    "minidet.image",
    "minidet.ops",
    "minidet.losses",
    "minidet.boxes",
    "minidet.mesh",
    "minidet.nn",
    "minidet.models.mtcnn",
    "minidet.models.retinaface",
    "minidet.weights",
    "minidet.detectors",
    "minidet.fast",
    "minidet.datasets",
    "minidet.datasets.synthetic",
    "minidet.datasets.meshes",
    "minidet.evaluation",
    "minidet.viz",
    "minidet.training",
    "minidet.training.sampling",
    "minidet.training.augment",
    "minidet.training.objectives",
    "minidet.training.optim",
    "minidet.training.recipes",
    "minidet.course",
    "minidet.explain",
)


@dataclass(frozen=True)
class Name:
    """A public name: ``name`` as written after ``import module``, and the object."""

    module: str
    name: str
    value: Any

    @property
    def path(self) -> str:
        """The name in full."""
        return f"{self.module}.{self.name}"


@dataclass
class Package:
    """A page of the API: the names documented there, and those that are documented elsewhere."""

    name: str
    module: ModuleType
    names: list[Name] = field(default_factory=list)
    elsewhere: list[Name] = field(default_factory=list)


@lru_cache(maxsize=1)
def packages() -> list[Package]:
    """List the public packages with their names."""
    found = [Package(name, import_module(name)) for name in PACKAGES]
    for package in found:
        for name in _public(package):
            home = _home(name, found)
            if home == name.module:
                package.names.append(name)
            else:
                package.elsewhere.append(Name(home, name.name, name.value))
    return found


def _public(package: Package) -> list[Name]:
    """List what the package makes public, sub-packages left out."""
    exported = getattr(package.module, "__all__", None)
    if exported is not None:
        names = [Name(package.name, name, getattr(package.module, name)) for name in exported]
        return [name for name in names if not isinstance(name.value, ModuleType)]
    names = []
    for info in pkgutil.iter_modules(package.module.__path__, f"{package.name}."):
        if not info.ispkg and not info.name.rpartition(".")[2].startswith("_"):
            module = import_module(info.name)
            names += [Name(info.name, name, getattr(module, name)) for name in _defined(module)]
    return names


def _defined(module: ModuleType) -> list[str]:
    """List the public functions and classes that a module defines, in order."""
    body = ast.parse(Path(module.__file__ or "").read_bytes()).body
    names = [statement.name for statement in body if isinstance(statement, ast.FunctionDef | ast.ClassDef)]
    return [name for name in dict.fromkeys(names) if not name.startswith("_")]


def _is_text(statement: ast.stmt | None) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _home(name: Name, found: list[Package]) -> str:
    """Return the module that documents a name: of the packages that export it the one where it is defined."""
    if not (inspect.isroutine(name.value) or inspect.isclass(name.value)):
        return name.module
    defined = name.value.__module__
    exporting = [
        package.name
        for package in found
        if name.name in getattr(package.module, "__all__", ())
        and getattr(package.module, name.name) is name.value
    ]
    inside = [package for package in exporting if f"{defined}.".startswith(f"{package}.")]
    return max(inside or exporting or [name.module], key=len)


def members(cls: type) -> list[str]:
    """List the public methods and properties of a class that are documented with it.

    Those inherited from a class that has its own entry are left out; those of a base that has none count.
    """
    with_entry = {
        name.value for package in packages() for name in package.names if inspect.isclass(name.value)
    }
    found: dict[str, None] = {}
    for base in reversed(cls.__mro__):
        if not base.__module__.startswith("minidet") or (base is not cls and base in with_entry):
            continue
        for name, value in vars(base).items():
            if not name.startswith("_") and _is_method(value):
                found[name] = None
    return list(found)


def _is_method(value: Any) -> bool:
    value = getattr(value, "__func__", value)
    return inspect.isfunction(value) or isinstance(value, property) or hasattr(value, "func")


def comment(name: Name) -> str:
    """Return the string below the assignment of a constant; empty if there is none."""
    module = import_module(name.module)
    body = ast.parse(Path(module.__file__ or "").read_bytes()).body
    for statement, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(statement, ast.ImportFrom) and any(
            alias.name == name.name for alias in statement.names
        ):
            return comment(Name(str(statement.module), name.name, name.value))
        if isinstance(statement, ast.Assign | ast.AnnAssign) and _is_text(after):
            target = statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]
            if isinstance(target, ast.Name) and target.id == name.name:
                return inspect.cleandoc(after.value.value)  # type: ignore[union-attr]
    return ""
