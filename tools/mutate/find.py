"""Finds the places of a C++ source that can be changed, with libclang, and says what each change is."""

import ctypes
import dataclasses
import re
import sys

sys.path.append("/usr/lib/python3/dist-packages")  # where Debian puts the module of python3-clang-19
from clang import cindex  # noqa: E402

KIND = cindex.CursorKind
SWITCH = "\0"  # stands in a replacement for the call that asks whether the mutant is on

FUNCTIONS = {
    KIND.FUNCTION_DECL,
    KIND.CXX_METHOD,
    KIND.CONSTRUCTOR,
    KIND.DESTRUCTOR,
    KIND.CONVERSION_FUNCTION,
    KIND.FUNCTION_TEMPLATE,
}
BRANCHES = {KIND.IF_STMT, KIND.FOR_STMT, KIND.WHILE_STMT, KIND.DO_STMT, KIND.CXX_FOR_RANGE_STMT}
EXITS = {KIND.RETURN_STMT, KIND.CONTINUE_STMT, KIND.BREAK_STMT}

BOUNDARY = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
EQUALITY = {"==": "!=", "!=": "=="}
ARITHMETIC = {"+": "-", "-": "+", "*": "+", "/": "*", "%": "/", "&": "|"}
IN_PLACE = {"+=": "-=", "-=": "+=", "|=": "="}
LOGIC = {"&&": "||", "||": "&&"}

# No test asks for these: log lines, assertions, hints for memory and cache, bugs that are planted already.
UNTESTED = re.compile(
    r"\b(?:log_\w+|CHECK|DCHECK|assert|static_assert"
    r"|reserve|shrink_to_fit|fetch|fetch_ahead|__builtin_\w+)\("
)
PLANTED = re.compile(r"[^\n]*\bplanted\w*\b[^\n]*")
STATEMENT_BEFORE = re.compile(r"[;{}):]$|\b(?:else|do)$")  # what may stand before a statement
CONSTANT = re.compile(r"^(?:static\s+)?(?:constexpr|constinit|static_assert)\b")


@dataclasses.dataclass(frozen=True)
class Mutant:
    path: str
    start: int  # characters of the file, from … to
    end: int
    line: int
    operator: str
    before: str
    after: str
    text: str  # what stands there instead, with SWITCH where it asks
    function: str = ""  # that it stands in
    whole: str = ""  # the whole line that it begins in


def closing(text, at):
    """The place behind the bracket that closes the one at `at`."""
    depth = 0
    for place in range(at, len(text)):
        depth += (text[place] in "([{") - (text[place] in ")]}")
        if depth == 0:
            return place + 1
    return len(text)


def untouchable(text):
    """Ranges in which nothing is changed."""
    ranges = []
    for found in UNTESTED.finditer(text):
        end = closing(text, found.end() - 1)
        ranges.append((found.start(), end + len(re.match(r"\s*;?", text[end:])[0])))
    for found in PLANTED.finditer(text):
        block = found[0].endswith("{")
        ranges.append((found.start(), closing(text, found.end() - 1) if block else found.end()))
    ranges += [found.span() for found in re.finditer(r"^\s*#[^\n]*|\[\[\w+\]\]", text, re.M)]
    return ranges


def short(text):
    return re.sub(r"\s+", " ", text).strip()


class Finder:
    """Of one file: walks the bodies of its functions. `name` is what the mutants call it."""

    def __init__(self, name, path):
        self.path, self.file, self.data = name, str(path), path.read_bytes()
        self.text = self.data.decode()
        self.ascii = len(self.text) == len(self.data)
        self.ranges = untouchable(self.text)
        self.found, self.function = {}, ""

    def place(self, location):
        """(name, characters): where it was written, also in an argument of a macro."""
        file, offset = ctypes.c_void_p(), ctypes.c_uint()
        cindex.conf.lib.clang_getFileLocation(
            location, ctypes.byref(file), None, None, ctypes.byref(offset)
        )
        characters = offset.value
        if not self.ascii:
            characters = len(self.data[: offset.value].decode(errors="replace"))
        return file.value, characters

    def span(self, cursor):
        extent = cursor.extent
        (file, start), (other, end) = self.place(extent.start), self.place(extent.end)
        return (start, end) if file == other and start < end else (0, 0)

    def of(self, cursor):
        start, end = self.span(cursor)
        return self.text[start:end]

    def add(self, operator, span, after, replacement):
        start, end = span
        complete = operator in ("statement", "exit")
        for first, last in self.ranges:
            if first <= start and end <= last or not complete and first < end and start < last:
                return
        before = self.text[start:end]
        if not balanced(before) or "//" in before:
            return
        line = self.text.count("\n", 0, start) + 1
        told = (operator, short(before), short(after), replacement)
        whole = short(self.text.split("\n")[line - 1])
        self.found.setdefault(
            (start, end, operator, after),
            Mutant(self.path, start, end, line, *told, self.function, whole),
        )

    def choice(self, operator, span, after):
        before = self.text[span[0] : span[1]]
        self.add(operator, span, after, f"({SWITCH} ? ({after}) : ({before}))")

    def walk(self, unit):
        for cursor in unit.cursor.get_children():
            file = cursor.location.file
            if file is not None and file.name == self.file:
                self.declaration(cursor)
        return sorted(self.found.values(), key=lambda mutant: (mutant.start, mutant.end, mutant.operator))

    def declaration(self, cursor):
        if cursor.kind not in FUNCTIONS:
            for child in cursor.get_children():
                self.declaration(child)
            return
        parent = cursor.semantic_parent
        of = "" if parent.kind == KIND.TRANSLATION_UNIT else parent.spelling
        self.function = f"{of}::{cursor.spelling}"
        for child in cursor.get_children():
            if child.kind == KIND.COMPOUND_STMT:
                head = self.text[self.span(cursor)[0] : self.span(child)[0]]
                if "constexpr" not in head and "consteval" not in head:
                    self.statement(child)

    def statement(self, cursor, early=False):
        """`early`: it stands alone behind an if without else."""
        if cursor.kind == KIND.DECL_STMT and CONSTANT.match(self.of(cursor)):
            return
        children = list(cursor.get_children())
        if cursor.kind == KIND.COMPOUND_STMT:
            for child in children:
                self.leave_out(child)
                self.statement(child, early)
            return
        if early and cursor.kind in EXITS:
            self.leave_out(cursor, "exit")
        if cursor.kind in BRANCHES:
            self.branch(cursor, children)
            return
        if cursor.kind == KIND.CASE_STMT:
            children = children[1:]
        self.expression(cursor, children)
        for child in children:
            self.statement(child)

    def branch(self, cursor, children):
        spans = [self.span(child) for child in children]
        bodies = []
        for child, (start, end) in zip(children, spans):
            before, after = self.text[:start].rstrip(), self.text[end:].lstrip()
            asked = before.endswith(("(", ";")) and after.startswith(")") and child.kind.is_expression()
            if cursor.kind == KIND.IF_STMT and asked and not bodies:
                self.negate((start, end))
            elif before.endswith((")", "else", "do")) and end > start:
                bodies.append(child)
        alone = cursor.kind == KIND.IF_STMT and len(bodies) == 1
        for child in children:
            if child in bodies:
                self.leave_out(child)
            self.statement(child, alone and child in bodies)

    def negate(self, span):
        before = self.text[span[0] : span[1]]
        self.add("condition", span, f"!({before})", f"({SWITCH} != static_cast<bool>({before}))")

    def leave_out(self, cursor, operator="statement"):
        start, end = self.span(cursor)
        tail = re.match(r"\s*;", self.text[end:])
        if not tail or end == start or not STATEMENT_BEFORE.search(self.text[:start].rstrip()[-5:]):
            return
        if operator == "statement" and not cursor.kind.is_expression():
            return
        whole = self.text[start : end + tail.end()]
        self.add(operator, (start, end + tail.end()), "", f"{{ if (!{SWITCH}) {{ {whole} }} }}")

    def expression(self, cursor, children):
        span = self.span(cursor)
        text = self.text[span[0] : span[1]]
        if not text:
            return
        if cursor.kind == KIND.INTEGER_LITERAL:
            self.number(span, text)
        elif cursor.kind == KIND.CXX_BOOL_LITERAL_EXPR and text in ("true", "false"):
            self.choice("constant", span, "false" if text == "true" else "true")
        elif cursor.kind == KIND.CONDITIONAL_OPERATOR and children:
            self.negate(self.span(children[0]))
        elif text.startswith(("std::min(", "std::max(")) and closing(text, 8) == len(text):
            self.choice("min and max", span, ("std::max" if text[6] == "i" else "std::min") + text[8:])
        elif re.match(r"!(?!=)", text) and self.is_not(cursor, children):
            self.add("not", span, text[1:], f"({SWITCH} != static_cast<bool>({text}))")
        elif len(children) >= 2:
            self.binary(span, children)

    def is_not(self, cursor, children):
        called = cursor.kind == KIND.CALL_EXPR and cursor.spelling == "operator!"
        return called or cursor.kind == KIND.UNARY_OPERATOR and len(children) == 1

    def number(self, span, text):
        found = re.fullmatch(r"(0x[0-9a-fA-F']+|0|[1-9][0-9']*)([uUlL]*)", text)
        if found:
            self.choice("constant", span, f"{int(found[1].replace(chr(39), ''), 0) + 1}{found[2]}")

    def binary(self, span, children):
        left, right = self.span(children[0]), self.span(children[-1])
        sign = self.text[left[1] : right[0]].strip()
        if left[0] != span[0] or right[1] != span[1] or left[1] == left[0] or right[1] == right[0]:
            return
        one, two = self.text[left[0] : left[1]], self.text[right[0] : right[1]]
        for name, table in (
            ("boundary", BOUNDARY),
            ("equality", EQUALITY),
            ("arithmetic", ARITHMETIC | IN_PLACE),
            ("logic", LOGIC),
        ):
            if sign not in table or name == "arithmetic" and re.search(r"[\"']", one + two):
                continue
            self.choice(name, span, f"{one} {table[sign]} {two}")
            if name == "logic":
                self.choice("operand", span, one)
                self.choice("operand", span, two)
            if sign in ("+", "-") and re.fullmatch(r"\d+u?", two):
                self.choice("arithmetic", span, one)


def balanced(text):
    depth = 0
    for character in re.sub(r"'(?:\\.|[^'\\])'|\"(?:\\.|[^\"\\])*\"", "", text):
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return False
    return depth == 0


def parse(path, arguments):
    return cindex.Index.create().parse(str(path), args=["-xc++", "-std=c++20", "-w", *arguments])


def errors(unit):
    return [str(one) for one in unit.diagnostics if one.severity >= cindex.Diagnostic.Error]


def names_in(unit, folder):
    """Of the files of a folder that the unit is made of: itself, and what it includes."""
    included = {unit.spelling} | {one.include.name for one in unit.get_includes()}
    return sorted(name for name in included if name.startswith(f"{folder}/"))
