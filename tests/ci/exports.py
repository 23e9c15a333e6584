"""Compares what the shared library exports with the list next to this file.

usage: exports.py LIBRARY [--write]

The list has one class, function or variable per line. Of what the compiler may leave out, a weak symbol (inline functions,
tables of classes without a source of their own), it has `weak` in front: that must be listed, but need not be there. A
symbol of another library may only be weak. --write makes the list anew.
"""

import os
import re
import subprocess
import sys

LIST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "exports.txt")
NAMESPACES = {"detail", "grpc_transport", "runtime", "transport"}
PREFIX = re.compile(r"^(?:(?:vtable|VTT|typeinfo|typeinfo name|guard variable) for |(?:non-)?virtual thunk to )+")


def owner_of(symbol):
    """`rangeio::client` for `vtable for rangeio::client` and `rangeio::client::open(...)`; None for a foreign symbol."""
    name = re.split(r"[(<\[]", PREFIX.sub("", symbol))[0]
    parts = name.split("::")
    if parts[0] != "rangeio":
        return None
    if parts[1] == "proto":
        return "rangeio::proto"  # the service's messages, which rangeio-emulator shares
    return "::".join(parts[: 3 if parts[1] in NAMESPACES else 2])


def exported(library):
    listed = subprocess.run(["nm", "-DC", "--defined-only", library], check=True, stdout=subprocess.PIPE, text=True)
    strong, weak, foreign = set(), set(), []
    for line in listed.stdout.splitlines():
        kind, symbol = re.fullmatch(r"[0-9a-f]+ (\S) (.*)", line).groups()
        owner = owner_of(symbol)
        if owner:
            (weak if kind in "WVu" else strong).add(owner)
        elif kind not in "WVu":
            foreign.append(symbol)
    return strong, weak - strong, foreign


def main(library, write):
    # The reading of symbols is checked first: a pattern that fits nothing must not pass.
    assert owner_of("vtable for rangeio::client") == owner_of("rangeio::client::open(int)") == "rangeio::client"
    assert owner_of("std::vector<rangeio::client>::~vector()") is None
    strong, weak, foreign = exported(library)
    if write:
        with open(LIST, "w", encoding="utf-8") as out:
            out.writelines(f"{owner}\n" for owner in sorted(strong))
            out.writelines(f"weak {owner}\n" for owner in sorted(weak))
        return 0
    with open(LIST, encoding="utf-8") as source:
        lines = source.read().splitlines()
    wanted = {line for line in lines if not line.startswith("weak ")}
    allowed = {line.removeprefix("weak ") for line in lines}
    wrong = [f"exported, and not in exports.txt: {owner}" for owner in sorted((strong | weak) - allowed)]
    wrong += [f"in exports.txt, and not exported: {owner}" for owner in sorted(wanted - strong)]
    wrong += [f"exported, and of another library: {symbol}" for symbol in foreign]
    print("\n".join(wrong) if wrong else f"{len(strong)} exported declarations are those of exports.txt")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], "--write" in sys.argv[2:]))
