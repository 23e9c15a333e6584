#!/usr/bin/env python3
"""usage: embed_programs.py PROGRAM... OUTPUT: writes the programs as a C++ source; they need not be installed."""

import os
import sys

*programs, output = sys.argv[1:]
with open(output, "w", encoding="utf-8") as out:
    out.write('#include "testing/programs/pool_program.hpp"'
        "\n\nnamespace rangeio::testing {\n\n")
    out.write("const std::vector<shipped_program>& shipped_programs() {\n")
    out.write("    static const std::vector<shipped_program> all{\n")
    for path in sorted(programs):
        name = os.path.splitext(os.path.basename(path))[0]
        with open(path, encoding="utf-8") as program:
            out.write(f'        {{"{name}", R"program({program.read()})program"}},\n')
    out.write("    };\n    return all;\n}\n\n}  // namespace rangeio::testing\n")
