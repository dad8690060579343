"""Tokens to a tree, by operator precedence with explicit stacks.

There is no recursion, so brackets cost no depth, as with GitHub: only nodes count. A chain of ``&&`` or ``||`` is one
node.
"""

from difflib import get_close_matches
from functools import lru_cache
from typing import Final, NamedTuple

from terraphim_runner.expressions.availability import CONTEXTS, SPECIAL_FUNCTIONS, STATUS_FUNCTIONS, Availability
from terraphim_runner.expressions.errors import ExpressionError
from terraphim_runner.expressions.functions import ALL, BY_LOWER_NAME, Function
from terraphim_runner.expressions.lexer import BAD, END, NAME, Token, tokenize
from terraphim_runner.expressions.tree import (
    And,
    Call,
    Comparison,
    Context,
    Expression,
    Index,
    Literal,
    Node,
    Not,
    Operator,
    Or,
    Wildcard,
)

MAX_DEPTH: Final = 50
"""How many nodes may stand one below the other: GitHub's limit."""

_KEPT_LENGTH: Final = 256
"""Up to this length an expression is remembered, a thousand of them: the same workflows are parsed again and again."""

_PRECEDENCE: Final = {"||": 1, "&&": 2, "==": 3, "!=": 3, "<": 4, "<=": 4, ">": 4, ">=": 4, "!": 5}
_KEYWORDS: Final[dict[str, bool | float | None]] = {
    "null": None,
    "true": True,
    "false": False,
    "NaN": float("nan"),
    "Infinity": float("inf"),
}


class _Operand(NamedTuple):
    node: Node
    depth: int


class _Operator(NamedTuple):
    symbol: str
    offset: int


class _Bracket(NamedTuple):
    """``(`` of a group or ``[`` of an index, which waits for its closing one."""

    closing: str
    offset: int


class _Call(NamedTuple):
    """A function whose arguments are being read; ``floor`` is how many operands there were before them."""

    function: Function
    name: Token
    floor: int
    offset: int
    closing: str = ")"


def parse(text: str, *, allowed: Availability) -> Expression:
    """Return the expression that the text (without ``${{ }}``) spells; blank text is ``null``.

    Unknown names, names that are out of place and wrong argument counts are found here, also in branches that would
    never be evaluated. Raises ``ExpressionError``, and nothing else, for any text.
    """
    return _parse_known(text, allowed) if len(text) <= _KEPT_LENGTH else _parse(text, allowed)


def _parse(text: str, allowed: Availability) -> Expression:
    return Expression(source=text, root=_Parser(tokenize(text), allowed).run())


_parse_known: Final = lru_cache(maxsize=1024)(_parse)


class _Parser:
    """Two states take turns: a value is expected, or something that may follow one."""

    def __init__(self, tokens: list[Token], allowed: Availability) -> None:
        self._tokens = tokens
        self._allowed = allowed
        self._position = 0
        self._operands: list[_Operand] = []
        self._pending: list[_Operator | _Bracket | _Call] = []

    def run(self) -> Node:
        if self._tokens[0].kind == END:
            return Literal(None, 0)
        while True:
            self._take_value()
            if not self._take_followers():
                return self._operands[0].node

    def _next(self) -> Token:
        token = self._tokens[self._position]
        self._position += 1
        return token

    def _peek(self) -> Token:
        return self._tokens[self._position]

    def _take_value(self) -> None:
        """Consume up to and including one value, and what stands before it: ``!``, brackets, calls."""
        while True:
            token = self._next()
            match token.kind:
                case "!":
                    self._pending.append(_Operator("!", token.offset))
                case "(":
                    self._pending.append(_Bracket(")", token.offset))
                case "name":
                    if self._peek().kind != "(":
                        self._push(self._name(token))
                        return
                    if self._open_call(token):
                        return
                case "string" | "number":
                    self._push(Literal(token.value, token.offset))
                    return
                case _:
                    raise _unexpected(token, "a value")

    def _take_followers(self) -> bool:
        """Consume what may follow a value. True: another value has to come; False: the expression is complete."""
        while True:
            token = self._next()
            match token.kind:
                case ".":
                    self._property(token)
                case "[":
                    if self._open_index(token):
                        return True
                case ")" | "]":
                    self._close(token)
                case ",":
                    self._separate(token)
                    return True
                case "end":
                    self._finish(token)
                    return False
                case symbol if symbol in _PRECEDENCE and symbol != "!":
                    self._binary(symbol, token.offset)
                    return True
                case _:
                    raise _unexpected(token, "an operator or the end of the expression")

    # Values

    def _name(self, token: Token) -> Node:
        if token.text in _KEYWORDS:
            return Literal(_KEYWORDS[token.text], token.offset)
        name = self._allowed.context(token.text)
        if name is None:
            raise _unknown_context(token, self._allowed)
        return Context(name, token.offset)

    def _open_call(self, token: Token) -> bool:
        """Consume a function's opening bracket; True when the closing one follows at once."""
        function = BY_LOWER_NAME.get(token.text.lower())
        if function is None or (function.name in SPECIAL_FUNCTIONS and function.name not in self._allowed.functions):
            raise _unknown_function(token, self._allowed, function)
        opened = _Call(function, token, len(self._operands), self._next().offset)
        self._pending.append(opened)
        if self._peek().kind != ")":
            return False
        self._next()
        self._call(opened)
        return True

    # What follows a value

    def _check_container(self, token: Token) -> None:
        before = self._tokens[self._position - 2]
        if before.kind != ")" and isinstance(self._operands[-1].node, Literal):
            raise _unexpected(token, "an operator: a literal has no properties")

    def _property(self, token: Token) -> None:
        self._check_container(token)
        name = self._next()
        owner = self._operands.pop()
        if name.kind == NAME:
            self._push(Index(owner.node, Literal(name.text, name.offset), token.offset), owner.depth)
        elif name.kind == "*":
            self._push(Wildcard(owner.node, token.offset), owner.depth)
        else:
            raise _unexpected(name, "a property's name or '*' after the dot")

    def _open_index(self, token: Token) -> bool:
        """Consume ``[*]`` whole (False), or ``[`` alone (True)."""
        self._check_container(token)
        if self._peek().kind != "*":
            self._pending.append(_Bracket("]", token.offset))
            return True
        self._next()
        closing = self._next()
        if closing.kind != "]":
            raise _unexpected(closing, "']' after '[*'")
        owner = self._operands.pop()
        self._push(Wildcard(owner.node, token.offset), owner.depth)
        return False

    def _binary(self, symbol: str, offset: int) -> None:
        # Equal ones of && and || are left to pile up, and are made into one node later.
        strength = _PRECEDENCE[symbol] + (symbol in {"&&", "||"})
        self._reduce(strength)
        self._pending.append(_Operator(symbol, offset))

    def _separate(self, token: Token) -> None:
        self._reduce()
        if not (self._pending and isinstance(self._pending[-1], _Call)):
            raise _unexpected(token, self._wanted())

    def _close(self, token: Token) -> None:
        self._reduce()
        opened = self._pending[-1] if self._pending else None
        if opened is None or isinstance(opened, _Operator) or opened.closing != token.kind:
            raise _unexpected(token, self._wanted())
        if isinstance(opened, _Call):
            self._call(opened)
            return
        self._pending.pop()
        if opened.closing == "]":
            owner, key = self._take(2)
            self._push(Index(owner.node, key.node, opened.offset), max(owner.depth, key.depth))

    def _call(self, opened: _Call) -> None:
        """Make a node of the innermost bracket, which is this call's; all operands since then are its arguments."""
        self._pending.pop()
        function, name = opened.function, opened.name
        arguments = self._take(len(self._operands) - opened.floor)
        is_status = function.name in STATUS_FUNCTIONS
        maximum = min(function.maximum, self._allowed.status_arguments) if is_status else function.maximum
        if complaint := function.complaint(len(arguments), maximum):
            raise ExpressionError(complaint, offset=name.offset, length=len(name.text))
        depth = max((operand.depth for operand in arguments), default=0)
        self._push(Call(function.name, tuple(operand.node for operand in arguments), name.offset), depth)

    def _finish(self, token: Token) -> None:
        self._reduce()
        if self._pending:
            raise _unexpected(token, self._wanted())

    def _wanted(self) -> str:
        opened = self._pending[-1] if self._pending else None
        if opened is None or isinstance(opened, _Operator):
            return "an operator or the end of the expression"
        closing = f"{opened.closing!r} for the bracket opened at character {opened.offset + 1}"
        return f"',' or {closing}" if isinstance(opened, _Call) else closing

    # Making nodes

    def _push(self, node: Node, below: int = 0) -> None:
        if below >= MAX_DEPTH:
            message = f"found an expression nested more than {MAX_DEPTH} levels deep: split it up"
            raise ExpressionError(message, offset=node.offset)
        self._operands.append(_Operand(node, below + 1))

    def _take(self, count: int) -> list[_Operand]:
        start = len(self._operands) - count
        taken = self._operands[start:]
        del self._operands[start:]
        return taken

    def _reduce(self, strength: int = 0) -> None:
        """Make nodes of the pending operators that bind at least so strongly, up to the nearest open bracket."""
        while self._pending:
            operator = self._pending[-1]
            if not isinstance(operator, _Operator) or _PRECEDENCE[operator.symbol] < strength:
                return
            self._pending.pop()
            if operator.symbol == "!":
                operand = self._operands.pop()
                self._push(Not(operand.node, operator.offset), operand.depth)
            elif operator.symbol in {"&&", "||"}:
                self._chain(operator)
            else:
                left, right = self._take(2)
                node = Comparison(Operator(operator.symbol), left.node, right.node, operator.offset)
                self._push(node, max(left.depth, right.depth))

    def _chain(self, operator: _Operator) -> None:
        count = 2
        while self._pending:
            before = self._pending[-1]
            if not isinstance(before, _Operator) or before.symbol != operator.symbol:
                break
            operator = before
            self._pending.pop()
            count += 1
        kind = And if operator.symbol == "&&" else Or
        nodes: list[Node] = []
        depth = 0
        for operand in self._take(count):
            if isinstance(operand.node, kind):
                nodes.extend(operand.node.operands)
                depth = max(depth, operand.depth - 1)
            else:
                nodes.append(operand.node)
                depth = max(depth, operand.depth)
        self._push(kind(tuple(nodes), operator.offset), depth)


def _unexpected(token: Token, expected: str) -> ExpressionError:
    message = str(token.value) if token.kind == BAD and token.value else f"found {token}, expected {expected}"
    return ExpressionError(message, offset=token.offset, length=max(1, len(token.text)))


def _unknown_context(token: Token, allowed: Availability) -> ExpressionError:
    known = token.text.lower() in CONTEXTS
    names = sorted(allowed.contexts)
    expected = f"one of {', '.join(names)}" if names else "no context at all"
    if known:
        message = f"context {token} is not available in {allowed.where}, expected {expected}"
    else:
        message = f"unknown context {token} in {allowed.where}, expected {expected}{_nearest(token.text, names)}"
        if token.text.lower() in BY_LOWER_NAME:
            message += f"; a function is called with brackets: {token.text}(…)"
        elif keyword := next((word for word in _KEYWORDS if word.lower() == token.text.lower()), None):
            message += f"; the constant is written {keyword!r}"
        else:
            message += "; text stands in single quotes"
    return ExpressionError(message, offset=token.offset, length=len(token.text))


def _unknown_function(token: Token, allowed: Availability, known: Function | None) -> ExpressionError:
    names = sorted(item.name for item in ALL if item.name not in SPECIAL_FUNCTIONS or item.name in allowed.functions)
    expected = f"expected one of {', '.join(names)}"
    if known is not None:
        message = f"function '{known.name}' is not available in {allowed.where}, {expected}"
    else:
        message = f"unknown function {token}, {expected}{_nearest(token.text, names)}"
    return ExpressionError(message, offset=token.offset, length=len(token.text))


def _nearest(name: str, names: list[str]) -> str:
    lower = {item.lower(): item for item in names}
    near = get_close_matches(name.lower()[:100], lower, n=1)
    return f"; did you mean {lower[near[0]]!r}?" if near else ""
