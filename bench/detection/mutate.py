"""Breaks a healthy release in ways that nobody thought of: mutate.py --seed N --count K [--source http|fetch] [--take 1,5,9] > mutants.json

Each mutant is one small change of the program: a deleted statement, a turned condition, another constant, an `except` without effect, a
wrong JSON path. The output is a manifest for `cargo xtask detect --manifest FILE`; every mutant is expected to be held. What is promoted
is judged by hand: equivalent (no user could tell), bounded (a warning by design), or an escape. The same seed gives the same mutants.
"""

import argparse
import ast
import json
import random
import re
import warnings
from pathlib import Path

HERE = Path(__file__).parent
MANIFEST = json.loads((HERE / "manifest.json").read_text())
warnings.simplefilter("ignore")  # a mutant's `is` with a literal

# Words for people: changing them changes nothing that a gate should hold for.
SPEECH = {"Refusal", "Broken"}
COMPARISONS = {
    ast.Eq: "!=", ast.NotEq: "==", ast.Lt: ">=", ast.LtE: "<", ast.Gt: "<=", ast.GtE: ">", ast.In: "not in", ast.NotIn: "in",
    ast.Is: "is not", ast.IsNot: "is",
}  # fmt: skip


def python_mutants(text):
    """Yields (operator, start, end, new text) for each change of a Python program."""
    tree = ast.parse(text)
    seen = {text}
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def place(node):
        return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset

    def source(node):
        start, end = place(node)
        return text[start:end]

    def visit(node, in_speech=False):
        if isinstance(node, ast.JoinedStr):
            return  # positions inside of f-strings are not to be trusted
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return  # a doc string
        speech = in_speech or (isinstance(node, ast.Call) and getattr(node.func, "id", None) in SPEECH)
        yield from change(node, in_speech)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, speech)

    def change(node, in_speech):
        simple = (ast.Expr, ast.Assign, ast.AugAssign, ast.Raise, ast.If, ast.With, ast.Try)
        if isinstance(node, simple):
            yield "delete", *place(node), "pass"
        if isinstance(node, ast.Return) and node.value is not None:
            yield "return-none", *place(node), "return None"
        if isinstance(node, (ast.If, ast.While, ast.IfExp)):
            yield "negate", *place(node.test), f"(not ({source(node.test)}))"
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            operator = COMPARISONS[type(node.ops[0])]
            yield "compare", *place(node), f"{source(node.left)} {operator} {source(node.comparators[0])}"
        if isinstance(node, ast.BoolOp):
            word = " or " if isinstance(node.op, ast.And) else " and "
            yield "and-or", *place(node), word.join(f"({source(value)})" for value in node.values)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            wrong = {0: "1"}.get(node.slice.value, repr(f"{node.slice.value}s"))
            yield "path", *place(node.slice), wrong
        elif isinstance(node, ast.Constant) and not in_speech:
            if isinstance(node.value, bool) or node.value is None:
                yield "constant", *place(node), {True: "False", False: "True", None: "0"}[node.value]
            elif isinstance(node.value, (int, float)):
                for value in (0, node.value * 10, node.value + 1):
                    yield "constant", *place(node), repr(value)
            elif isinstance(node.value, str) and len(node.value) < 40:
                yield "text", *place(node), repr(node.value + "s")
        if isinstance(node, ast.ExceptHandler):
            yield "handler-empty", *place(node.body[0])[:1], place(node.body[-1])[1], "pass"
            if node.type is not None:
                yield "handler-gone", *place(node.type), "ZeroDivisionError"
        if isinstance(node, ast.Break):
            yield "loop", *place(node), "continue"
        if isinstance(node, ast.Continue):
            yield "loop", *place(node), "break"
        if isinstance(node, ast.Call) and len(node.args) == 2 and getattr(node.func, "id", None) in {"min", "max"}:
            yield "min-max", *place(node.func), {"min": "max", "max": "min"}[node.func.id]

    for operator, start, end, new in visit(tree):
        mutant = text[:start] + new + text[end:]
        if mutant in seen:
            continue
        seen.add(mutant)
        try:
            compile(mutant, "mutant", "exec")
        except SyntaxError:
            continue
        yield operator, start, end, new


JAVASCRIPT = [
    ("compare", r" === ", " !== "), ("compare", r" !== ", " === "), ("compare", r" >= ", " < "), ("compare", r" > ", " <= "),
    ("and-or", r" && ", " || "), ("and-or", r" \|\| ", " && "), ("default", r" \?\? ", " && "),
    ("negate", r"if \(", "if (!"), ("path", r"\.choices\?\.\[0\]", ".choices?.[1]"), ("path", r"\.(finish_reason|content|delta|message)\b", r".\1s"),
    ("delete", r"(?m)^ +(?:throw|clearTimeout|ask|rest|said|idle|finish|yield|data|wait|refusal|send|response)\b[^\n]*;$", "  ;"),
    ("constant", r"(?<![\w.])(\d+)(?![\w.])", r"0"), ("constant", r"(?<![\w.])([1-9]\d*)(?![\w.])", r"\g<1>0"),
    ("handler", r"throw (error|refusal);", ";"), ("async", r"\bawait (?!import)", ""), ("loop", r"\bbreak;", "continue;"),
]  # fmt: skip


def javascript_mutants(text):
    """Yields the same for a Node program, by its text: what does not start is held, and costs a drill."""
    for operator, pattern, new in JAVASCRIPT:
        for found in re.finditer(pattern, text):
            yield operator, *found.span(), found.expand(new)


def edit(name, text, start, end, new):
    """Returns [file, old, new] with as many whole lines as make the old text unique."""
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", end) + 1 or len(text)
    while text.count(text[first:last]) > 1:
        first = text.rfind("\n", 0, first - 1) + 1
    return [name, text[first:last], text[first:start] + new + text[end:last]]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seed", type=int, required=True)
    arguments.add_argument("--count", type=int, required=True)
    arguments.add_argument("--source", choices=["http", "fetch"], default="http")
    arguments.add_argument("--take", help="only these of them: numbers from 1, with commas")
    arguments = arguments.parse_args()
    family = arguments.source
    file = {"http": "service.py", "fetch": "server.mjs"}[family]
    text = (HERE / "releases" / family / file).read_text()
    find = python_mutants if family == "http" else javascript_mutants
    by_operator = {}
    for operator, start, end, new in find(text):
        by_operator.setdefault(operator, []).append((operator, start, end, new))
    chance = random.Random(arguments.seed)
    # The same share for each operator, so that constants do not crowd out the rest.
    for mutants in by_operator.values():
        chance.shuffle(mutants)
    picked = []
    while len(picked) < arguments.count and any(by_operator.values()):
        for mutants in by_operator.values():
            if mutants and len(picked) < arguments.count:
                picked.append(mutants.pop())
    taken = [int(number) for number in arguments.take.split(",")] if arguments.take else range(1, len(picked) + 1)
    changes, rows = {}, []
    transports = ["httpx", "requests", "http.client"]
    for number in taken:
        operator, start, end, new = picked[number - 1]
        line = text.count("\n", 0, start) + 1
        name = f"{family}-{arguments.seed}-{number}-{operator}-line-{line}"
        shown = " ".join(text[start:end].split())[:60]
        summary = f"{shown} -> {' '.join(new.split())[:60]}"
        changes[name] = {"summary": summary, "class": "MU", "edits": [edit(file, text, start, end, new)]}
        stack = "fetch" if family == "fetch" else transports[number % 3]
        beside = "http.client" if family == "fetch" else transports[(number + 1) % 3]
        side = "new" if number % 2 else "rollback"
        rows.append({"release": f"{stack}/service", "side": side, "other": f"{beside}/service", "change": name, "ci": True})
    stacks = {name: MANIFEST["stacks"][name] for name in ["fetch", *transports]}
    lines = [
        "{",
        f' "about": "Made by mutate.py --seed {arguments.seed} --source {family}; do not edit.",',
        ' "classes": {"MU": "a random change of a healthy program"},',
        f' "stacks": {json.dumps(stacks)},',
        f' "changes": {{"{family}": {{',
        ",\n".join(f"  {json.dumps(name)}: {json.dumps(change)}" for name, change in changes.items()),
        " }},",
        ' "rows": [',
        ",\n".join("  " + json.dumps(row) for row in rows),
        " ]",
        "}",
    ]
    print("\n".join(lines))


main()
