"""Compares what the shared library exports with the list next to this file.

usage: exports.py LIBRARY [--write]

The list has one class, function or variable per line. A symbol of another library may only be weak: the linker merges such
copies of templates and inline functions. --write makes the list anew.
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
    owners, foreign = set(), []
    for line in listed.stdout.splitlines():
        kind, symbol = re.fullmatch(r"[0-9a-f]+ (\S) (.*)", line).groups()
        owner = owner_of(symbol)
        if owner:
            owners.add(owner)
        elif kind not in "WVu":
            foreign.append(symbol)
    return owners, foreign


def main(library, write):
    # The reading of symbols is checked first: a pattern that fits nothing must not pass.
    assert owner_of("vtable for rangeio::client") == owner_of("rangeio::client::open(int)") == "rangeio::client"
    assert owner_of("std::vector<rangeio::client>::~vector()") is None
    owners, foreign = exported(library)
    if write:
        with open(LIST, "w", encoding="utf-8") as out:
            out.writelines(owner + "\n" for owner in sorted(owners))
        return 0
    with open(LIST, encoding="utf-8") as source:
        wanted = set(source.read().split())
    wrong = [f"exported, and not in exports.txt: {owner}" for owner in sorted(owners - wanted)]
    wrong += [f"in exports.txt, and not exported: {owner}" for owner in sorted(wanted - owners)]
    wrong += [f"exported, and of another library: {symbol}" for symbol in foreign]
    print("\n".join(wrong) if wrong else f"{len(owners)} exported declarations are those of exports.txt")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], "--write" in sys.argv[2:]))
