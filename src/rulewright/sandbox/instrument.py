"""Rewrite tests so that observed values leave the sandbox and expected values never enter it.

`assert f(2) == 5` becomes `recorder.value(3, f(2))`; the 5 stays with the driver. The
same for unittest's methods, `raises` contexts and truth checks. What cannot be taken
apart stays as it is, followed by a mark that it was passed. The text of tests comes from
the driver's own data and is parsed here; the candidate's program is never parsed.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Kind = Literal["script", "pytest", "unittest"]
Form = Literal["value", "exact", "pair", "truth", "raises", "choice", "mark"]

_OPERATORS: Final[dict[type[ast.cmpop], str]] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
# unittest's methods of two operands, as the comparison that they make.
_METHODS: Final[dict[str, str]] = {
    "assertEqual": "==", "assertEquals": "==", "assertListEqual": "==", "assertTupleEqual": "==",
    "assertDictEqual": "==", "assertSetEqual": "==", "assertSequenceEqual": "==",
    "assertMultiLineEqual": "==",
    "assertNotEqual": "!=", "assertLess": "<", "assertLessEqual": "<=", "assertGreater": ">",
    "assertGreaterEqual": ">=", "assertIn": "in", "assertNotIn": "not in",
}  # fmt: skip
_EXACT: Final[dict[str, bool]] = {"assertIsNone": True, "assertIsNotNone": False}
_TRUTH: Final[dict[str, bool]] = {"assertTrue": True, "assertFalse": False, "assert_": True}
_ENDING_CALLS: Final = frozenset(
    {"exit", "quit", "sys.exit", "os._exit", "unittest.main", "main", "pytest.main"}
)
_SKIPPING: Final = ("skip", "xfail", "expectedFailure")


@dataclass(frozen=True)
class Check:
    """One place in the tests at which something is observed."""

    number: int
    form: Form
    line: int
    text: str
    """The original check, for the user."""
    required: bool
    """Without a reference: it has to run, as nothing decides otherwise."""
    operator: str = "=="
    expected: Any = None
    swapped: bool = False
    """The expectation is the left operand."""
    wanted: bool = True
    """For `exact` and `truth`: whether it should hold."""
    answers: tuple[bool, ...] = ()
    """For `choice`: which options should be equal."""


@dataclass(frozen=True)
class Instrumented:
    """Tests that report instead of judging, and what the driver keeps to judge by."""

    source: str
    checks: Mapping[int, Check]


@dataclass
class Treatment:
    """How to treat some checks, by number, learned from earlier runs."""

    native: frozenset[int] = frozenset()
    choices: Mapping[int, tuple[Sequence[str], tuple[bool, ...]]] = field(default_factory=dict)
    """Number → option sources and which of them should be equal."""


def instrument(tests: str, kind: Kind, recorder: str, plan: Treatment | None = None) -> Instrumented:
    """Rewrite tests.

    Args:
        tests: Python source.
        kind: how they are run; decides which functions a runner will find.
        recorder: the name by which the rewritten tests reach the recorder.
        plan: checks to leave native, or to ask as a choice.

    Raises:
        SyntaxError: the tests do not parse on their own.
    """
    tree = ast.parse(tests)
    rewriter = _Rewriter(kind, recorder, plan or Treatment(), tree)
    tree.body = rewriter.module(tree.body)
    ast.fix_missing_locations(tree)
    return Instrumented(ast.unparse(tree) + "\n", rewriter.checks)


class _Rewriter:
    """Walks statements in order; numbers depend on the tests alone, not on the plan."""

    def __init__(self, kind: Kind, recorder: str, plan: Treatment, tree: ast.Module) -> None:
        self._kind, self._recorder, self._plan = kind, recorder, plan
        self.checks: dict[int, Check] = {}
        self._number = 0
        self._certain = True
        calls = {_dotted(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
        self._runs_classes = kind != "script" or "unittest.main" in calls or "main" in calls
        guarded = [
            s for one in tree.body if isinstance(one, ast.If) and _is_main_guard(one) for s in one.body
        ]
        self._called = {
            _dotted(s.value.func)
            for s in (*tree.body, *guarded)
            if isinstance(s, ast.Expr) and isinstance(s.value, ast.Call)
        }

    def module(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """Rewrite the module's body, with a mark at its end."""
        new = self._body(body)
        if self._kind == "script":
            new += self._mark(body[-1] if body else ast.Pass(lineno=1, col_offset=0), "end of the tests")
        return new

    # Statements

    def _body(self, body: list[ast.stmt]) -> list[ast.stmt]:
        new: list[ast.stmt] = []
        for statement in body:
            new += self._statement(statement)
            if _may_leave(statement):
                self._certain = False
        return new

    def _statement(self, node: ast.stmt) -> list[ast.stmt]:
        match node:
            case ast.Assert():
                return self._assert(node, node.test)
            case ast.Expr(value=ast.Call() as call):
                return self._call(node, call)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return self._function(node, in_class=False)
            case ast.ClassDef():
                return self._class(node)
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    item.context_expr = self._context(item.context_expr)
                node.body = self._body(node.body)
                return [node]
            case ast.If() if _is_main_guard(node):
                node.body = self._body(node.body)
                return [node]
        # Rewrite blocks that may run any number of times; nothing in them is certain.
        before, self._certain = self._certain, False
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                setattr(node, name, self._body(block))
        for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            part.body = self._body(part.body)
        self._certain = before
        return [node]

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, *, in_class: bool) -> list[ast.stmt]:
        found = node.name.startswith("test") and (
            (in_class and self._runs_classes) or (not in_class and self._kind == "pytest")
        )
        runs = (found or node.name in self._called) and not _is_skipped(node)
        before, self._certain = self._certain, self._certain and runs
        start = self._certain
        node.body = self._body(node.body)
        generates = any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in ast.walk(node))
        if start and not isinstance(node.body[-1], ast.Return | ast.Raise) and not generates:
            node.body += self._mark(node, f"end of {node.name}")
        self._certain = before
        return [node]

    def _class(self, node: ast.ClassDef) -> list[ast.stmt]:
        before = self._certain
        if _is_skipped(node):
            self._certain = False
        new: list[ast.stmt] = []
        for statement in node.body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                new += self._function(statement, in_class=True)
            else:
                new += self._statement(statement)
        node.body = new
        self._certain = before
        return [node]

    # Checks

    def _assert(self, node: ast.stmt, test: ast.expr) -> list[ast.stmt]:
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            parts = [(ast.copy_location(ast.Assert(part, None), node), part) for part in test.values]
            return [new for alone, part in parts for new in self._assert(alone, part)]
        if _has_walrus_or_wait(test):
            return self._native(node, ast.unparse(test))
        wanted = True
        while isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            test, wanted = test.operand, not wanted
        match test:
            case ast.Compare(left=left, ops=[ast.Is() | ast.IsNot() as operator], comparators=[right]) if (
                isinstance(right, ast.Constant) and (right.value is None or isinstance(right.value, bool))
            ):
                holds = isinstance(operator, ast.Is) == wanted
                return self._exact(node, left, right.value, holds)
            case ast.Compare(left=left, ops=[operator], comparators=[right]) if (
                type(operator) in _OPERATORS and wanted
            ):
                return self._compare(node, left, _OPERATORS[type(operator)], right)
        return self._truth(node, test, wanted)

    def _call(self, node: ast.stmt, call: ast.Call) -> list[ast.stmt]:
        name = _dotted(call.func).rpartition(".")[2]
        arguments = call.args
        if any(isinstance(a, ast.Starred) for a in arguments) or any(
            _has_walrus_or_wait(a) for a in arguments
        ):
            return [node]
        if name in _METHODS and len(arguments) >= 2:
            return self._compare(node, arguments[0], _METHODS[name], arguments[1])
        if name in _TRUTH and arguments:
            return self._truth(node, arguments[0], _TRUTH[name])
        if name in _EXACT and arguments:
            return self._exact(node, arguments[0], None, _EXACT[name])
        if _is_raising(call):
            return [ast.copy_location(ast.Expr(self._context(call)), node)]
        if name.startswith("assert") and isinstance(call.func, ast.Attribute):
            return self._native(node, ast.unparse(call))
        return [node]

    def _compare(self, node: ast.stmt, left: ast.expr, operator: str, right: ast.expr) -> list[ast.stmt]:
        for expression, constant, swapped in ((left, right, False), (right, left, True)):
            found = _literal(constant)
            if found is not None and _literal(expression) is None:
                return self._record(
                    node, "value", [expression], operator=operator, expected=found[0], swapped=swapped
                )
        if operator == "==":
            return self._record(node, "pair", [left, right])
        kind = next(kind for kind, word in _OPERATORS.items() if word == operator)
        return self._truth(node, ast.Compare(left, [kind()], [right]), True)

    def _exact(self, node: ast.stmt, seen: ast.expr, expected: object, wanted: bool) -> list[ast.stmt]:
        return self._record(node, "exact", [seen], expected=expected, wanted=wanted)

    def _truth(self, node: ast.stmt, seen: ast.expr, wanted: bool) -> list[ast.stmt]:
        return self._record(node, "truth", [seen], wanted=wanted)

    def _context(self, expression: ast.expr) -> ast.expr:
        if not (isinstance(expression, ast.Call) and _is_raising(expression)):
            return expression
        call = expression
        method = "raises_regex" if _dotted(call.func).endswith("Regex") else "raises"
        number = self._add("raises", expression, ast.unparse(expression))
        if number in self._plan.native:
            return expression
        keywords = [k for k in call.keywords if k.arg != "msg"]
        return self._asked(method, number, call.args, expression, keywords).value

    def _record(self, node: ast.stmt, form: Form, seen: list[ast.expr], **facts: Any) -> list[ast.stmt]:
        text = ast.unparse(node)
        chosen = self._plan.choices.get(self._number)
        if self._number in self._plan.native:
            return self._native(node, text)
        if chosen is not None:
            options, answers = chosen
            number = self._add("choice", node, text, answers=answers)
            listing = ast.List([ast.parse(option, mode="eval").body for option in options], ast.Load())
            return [self._asked("choose", number, [seen[0], listing], node)]
        return [self._asked(form, self._add(form, node, text, **facts), seen, node)]

    def _native(self, node: ast.stmt, text: str) -> list[ast.stmt]:
        return [node, *self._mark(node, text)]

    def _mark(self, node: ast.AST, text: str) -> list[ast.stmt]:
        return [self._asked("reached", self._add("mark", node, text), [], node)]

    def _asked(
        self,
        method: str,
        number: int,
        args: list[ast.expr],
        at: ast.AST,
        keywords: Sequence[ast.keyword] = (),
    ) -> ast.Expr:
        """A call of the recorder that stands for a check."""
        function = ast.Attribute(ast.Name(self._recorder, ast.Load()), method, ast.Load())
        call = ast.Call(function, [ast.Constant(number), *args], list(keywords))
        return ast.copy_location(ast.Expr(ast.copy_location(call, at)), at)

    def _add(self, form: Form, node: ast.AST, text: str, **facts: Any) -> int:
        number = self._number
        self._number += 1
        line = getattr(node, "lineno", 0)
        self.checks[number] = Check(number, form, line, text[:200], self._certain, **facts)
        return number


def _literal(node: ast.expr) -> tuple[Any] | None:
    """The value of a constant expression, boxed; `None` where it is not one."""
    try:
        return (ast.literal_eval(node),)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _dotted(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{_dotted(value)}.{name}"
    return "?"


def _is_raising(call: ast.Call) -> bool:
    name = _dotted(call.func)
    plain = not any(isinstance(a, ast.Starred) for a in call.args) and bool(call.args)
    return plain and (
        name == "pytest.raises" or name.rpartition(".")[2] in ("assertRaises", "assertRaisesRegex")
    )


def _is_main_guard(node: ast.If) -> bool:
    return isinstance(node.test, ast.Compare) and _dotted(node.test.left) == "__name__" and not node.orelse


def _is_skipped(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    words = [ast.unparse(d) for d in node.decorator_list]
    if not isinstance(node, ast.ClassDef):
        words += [_dotted(c.func) for c in ast.walk(node) if isinstance(c, ast.Call)]
        words += [_dotted(r.exc) if r.exc else "" for r in ast.walk(node) if isinstance(r, ast.Raise)]
    return any(mark in word for word in words for mark in (*_SKIPPING, "SkipTest", "importorskip"))


def _has_walrus_or_wait(node: ast.AST) -> bool:
    return any(isinstance(inner, ast.NamedExpr | ast.Yield | ast.YieldFrom) for inner in ast.walk(node))


def _may_leave(node: ast.stmt) -> bool:
    """Whether what follows in the same block may not be reached, by intention."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return False
    for inner in ast.walk(node):
        if isinstance(inner, ast.Return | ast.Raise | ast.Break | ast.Continue):
            return True
        if isinstance(inner, ast.Call) and _dotted(inner.func) in _ENDING_CALLS:
            return True
    return False
