"""Finds private names of Keras, JAX, torch, TensorFlow and TensorBoard in fitwatch's sources.

They are listed in `fitwatch/_keras/manifest.py` and used inside `fitwatch/_keras/` only. A class
that derives from one of Keras's may also use and override what it inherits, if the manifest has it;
and a callback's own objects, which get it as `callback`, may use the same names on it.
Run by `make lint`; reads sources, and imports neither Keras nor a backend.
"""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from fitwatch._keras.manifest import MANIFEST

PACKAGE = Path(__file__).parents[1] / "python" / "fitwatch"

PRIVATE_NAME = re.compile(r"_(?!fitwatch)[A-Za-z]\w*(?<!__)")
PRIVATE_MODULE = re.compile(
    r"(keras\.src|tensorflow\.python)\b"
    r"|(keras|jax|jaxlib|torch|tensorflow|tensorboard)(\.\w+)*\._\w+"
    r"|tensorboard\.(?!compat\.proto|plugins|summary)\w+"
)
# Files about names that only old pickles have, and a name that only states have.
OLD_NAMES = {"manifest.py", "old_pickles.py"}
OF_STATES = {"_next_epoch"}
# Modules of Python, which this is not about.
OF_PYTHON = {"runpy", "sys"}
# Python's own methods, whose underscore tells them from the fields of a tuple.
OF_NAMED_TUPLES = {"_asdict", "_fields", "_make", "_replace"}
# Where Keras has the classes that ours derive from.
KERAS_FOLDERS = ("callbacks", "saving", "trainers", "utils")


class Class(NamedTuple):
    """A class, as defined in its source."""

    bases: list[str]
    names: set[str]
    """The private names that it defines, in its body or on its instances."""


class Use(NamedTuple):
    """A private name, or one of the manifest's, in a source."""

    line: int
    name: str
    cls: str | None
    """The class on which, or on whose own instance, it is used; anything else for other objects."""
    is_text: bool = False
    """Whether it is a string or a keyword, as for `getattr`, so that the object is not known."""


def main() -> int:
    """Prints the complaints; returns the exit status."""
    found = [*misused(PACKAGE), *unused(PACKAGE)]
    print("\n".join([*found, f"{len(MANIFEST)} private names, {len(found)} complaints"]))
    return bool(found)


def misused(package: Path) -> Iterator[str]:
    """Complaints about the files of a package: private names and the places that use them."""
    files = [path for path in sorted(package.rglob("*.py")) if path.name not in OLD_NAMES]
    trees = {path: ast.parse(path.read_text()) for path in files}
    ours = classes(trees.values())
    parents = keras_parents(ours)
    own = set().union(*(cls.names for cls in ours.values()), *map(functions, trees.values()))
    for path, tree in trees.items():
        inside = path.parent.name == "_keras"
        found = [(line, of_module(name, inside)) for line, name in modules(tree)]
        for use in uses(tree):
            inherited = [cls for cls in parents.get(use.cls, ()) if keras_has(cls, use.name)]
            if (use.is_text and not inherited) or use.cls not in ours:
                if (use.is_text or use.cls == "callback") and of_a_callback(use.name):
                    continue
                found.append((use.line, of_object(use.name, inside, own)))
            found += [(use.line, of_class(cls, use.name)) for cls in inherited]
        for line, complaint in sorted({pair for pair in found if pair[1] is not None}):
            yield f"{path.relative_to(package.parent)}:{line}: {complaint}"
    for path in rust_files(package):
        for name in re.findall(r'intern!\([^"]*"(\w+)"', path.read_text()):
            if complaint := of_object(name, True, own):
                yield f"{path.name}: {complaint}"


def unused(package: Path) -> Iterator[str]:
    """Complaints about entries of the manifest that no source names, in Python or in Rust.

    (The test of the manifest finds methods that are no longer overridden.)
    """
    files = [*package.rglob("*.py"), *rust_files(package)]
    text = "\n".join(path.read_text() for path in files if path.name != "manifest.py")
    words = set(re.findall(r"\w+", text))
    for entry in MANIFEST:
        if entry.kind != "overridden" and entry.name not in words:
            yield f"fitwatch/_keras/manifest.py: {entry.owner} {entry.name} is used nowhere"


def rust_files(package: Path) -> list[Path]:
    """The sources of the binding, which reads attributes by name."""
    return sorted((package.parents[1] / "rust" / "py" / "src").rglob("*.rs"))


def of_module(name: str, inside: bool) -> str | None:
    """The complaint about a private module, or a name in one."""
    if not inside:
        return f"{name} is private: use it in fitwatch/_keras/"
    listed = {entry.module for entry in MANIFEST} | {f"{e.owner}.{e.name}" for e in MANIFEST}
    return None if name in listed else f"{name} is not in the manifest"


def of_class(theirs: str, name: str) -> str | None:
    """The complaint about a name that a class of ours inherits from one of Keras's."""
    line = [theirs, *ancestors(theirs, keras_classes())]
    if any(entry.name == name and entry.inside in line for entry in MANIFEST):
        return None
    return f"{name} is one of Keras's {theirs}, and is not in the manifest"


def of_a_callback(name: str) -> bool:
    """Whether the manifest has a name as one of Keras's callbacks."""
    return any(entry.name == name and entry.module == "keras.callbacks" for entry in MANIFEST)


def of_object(name: str, inside: bool, own: set[str]) -> str | None:
    """The complaint about a name of any other object."""
    if name == "f_locals":
        return None if inside else "locals of other code are private: use fitwatch/_keras/"
    entries = [entry for entry in MANIFEST if entry.name == name]
    foreign = any(entry.is_confined for entry in entries)
    if not foreign and (name in own or name in OF_STATES or not PRIVATE_NAME.fullmatch(name)):
        return None
    if not inside:
        return f"{name} is private: use it in fitwatch/_keras/"
    return None if entries else f"{name} is not in the manifest"


def modules(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The private modules that a source imports or names, and the names that it takes from them."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = re.findall(r"^\w+(?:\.\w+)+$", node.value)
        yield from ((node.lineno, name) for name in names if PRIVATE_MODULE.match(name))


def uses(node: ast.AST, cls: str | None = None) -> Iterator[Use]:
    """The private names in a source, and the public ones that may be a private class's."""
    for child in ast.iter_child_nodes(node):
        yield from uses(child, child.name if isinstance(child, ast.ClassDef) else cls)
        if isinstance(child, ast.Attribute):
            receiver = child.value
            called = receiver.func if isinstance(receiver, ast.Call) else receiver
            name = called.id if isinstance(called, ast.Name) else ""
            if name not in OF_PYTHON and child.attr not in OF_NAMED_TUPLES:
                on = cls if name in ("self", "cls", "super", "type") else name
                yield Use(child.lineno, child.attr, on)
        elif isinstance(child, ast.Constant | ast.keyword):
            text = child.value if isinstance(child, ast.Constant) else child.arg
            in_f_string = isinstance(node, ast.JoinedStr)
            if isinstance(text, str) and PRIVATE_NAME.fullmatch(text) and not in_f_string:
                yield Use(child.lineno, text, cls, is_text=True)
        elif isinstance(node, ast.ClassDef):
            yield from (Use(child.lineno, name, cls) for name in _defined_by(child))


def classes(trees: Iterable[ast.AST]) -> dict[str, Class]:
    """The classes of some sources, by name."""
    found: dict[str, Class] = {}
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.ClassDef):
            bases = [ast.unparse(base) for base in node.bases]
            names = {name for part in ast.walk(node) for name in _defined_by(part)}
            before = found.get(node.name, Class([], set()))
            found[node.name] = Class(before.bases + bases, before.names | names)
    return found


def functions(tree: ast.AST) -> set[str]:
    """The names that a module defines outside of its classes."""
    return {name for node in ast.iter_child_nodes(tree) for name in _defined_by(node)}


def _defined_by(node: ast.AST) -> Iterator[str]:
    """The private names that a statement defines: of a class, a module or an instance."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        targets: list[ast.AST | str] = [node.name]
    elif isinstance(node, ast.Assign):
        targets = [part for target in node.targets for part in ast.walk(target)]
    else:
        targets = [node.target] if isinstance(node, ast.AnnAssign | ast.AugAssign) else []
    for target in targets:
        name = getattr(target, "attr", None) or getattr(target, "id", None) or target
        on_self = not isinstance(target, ast.Attribute) or ast.unparse(target.value) == "self"
        if isinstance(name, str) and PRIVATE_NAME.fullmatch(name) and on_self:
            yield name


def keras_parents(ours: dict[str, Class]) -> dict[str, set[str]]:
    """The classes of Keras that each of ours derives from, or is mixed into."""
    direct = {
        name: {base.rpartition(".")[2] for base in cls.bases if "." in base} & set(keras_classes())
        for name, cls in ours.items()
    }
    parents = {name: set(found) for name, found in direct.items()}
    for name in ours:
        line = [cls for cls in ancestors(name, ours) if cls in ours]
        parents[name] |= {theirs for cls in line for theirs in direct[cls]}
    for name in ours:
        for mixin in ancestors(name, ours):
            if mixin in ours:
                parents[mixin] |= parents[name]
    return parents


def keras_has(theirs: str, name: str) -> bool:
    """Whether one of Keras's classes has a private name, or inherits it."""
    line = [theirs, *ancestors(theirs, keras_classes())]
    return any(name in keras_classes()[cls].names for cls in line)


def ancestors(name: str, known: dict[str, Class]) -> list[str]:
    """The known classes that a class derives from."""
    found: list[str] = []
    for base in known[name].bases if name in known else []:
        base = base.partition("[")[0]
        if base in known and base not in found:
            found += [base, *ancestors(base, known)]
    return found


@cache
def keras_classes() -> dict[str, Class]:
    """Keras's classes, out of its sources."""
    spec = find_spec("keras")
    root = Path((spec.submodule_search_locations or [""])[0]) / "src" if spec else Path()
    files = [path for folder in KERAS_FOLDERS for path in (root / folder).rglob("*.py")]
    return classes(ast.parse(path.read_text()) for path in files)


if __name__ == "__main__":
    sys.exit(main())
