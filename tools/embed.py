#!/usr/bin/env python3
"""Writes the files of a folder as a C++ source: the table of src/api/assets.h; empty without a folder.

usage: embed.py FOLDER OUTPUT
"""

import gzip
import hashlib
import pathlib
import sys

TYPES = {".js": "text/javascript; charset=utf-8", ".json": "application/json"}
PIECE = 4000  # bytes of one string literal: compilers bound their length


def literal(data):
    """A C++ expression of the bytes, whatever they are."""
    if not data:
        return "std::string_view()"
    pieces = []
    for at in range(0, len(data), PIECE):
        piece = "".join(
            chr(byte) if 32 <= byte < 127 and byte not in b'"\\?' else f"\\{byte:03o}"
            for byte in data[at : at + PIECE]
        )
        pieces.append(f'    "{piece}"')
    return "std::string_view(\n" + "\n".join(pieces) + f",\n    {len(data)})"


def row(path):
    data = path.read_bytes()
    packed = gzip.compress(data, 9, mtime=0)
    fields = [
        f'"{path.name}"',
        f'"{TYPES[path.suffix]}"',
        literal(data),
        literal(packed if len(packed) < len(data) else b""),
        f'"{hashlib.sha256(data).hexdigest()[:32]}"',
    ]
    return "    {" + ", ".join(fields) + "},\n"


def main():
    folder, output = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    rows = [row(path) for path in sorted(folder.glob("*")) if path.suffix in TYPES]
    table = f"const Asset table[] = {{\n{''.join(rows)}}};\n" if rows else ""
    output.write_text(
        '#include "api/assets.h"\n\nnamespace belfry {\nnamespace {\n'
        + table
        + "}  // namespace\n\nstd::span<const Asset> assets() { return "
        + ("table" if rows else "{}")
        + "; }\n\n}  // namespace belfry\n"
    )


if __name__ == "__main__":
    main()
