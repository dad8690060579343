"""Tokens to a tree, by operator precedence with explicit stacks.

There is no recursion, so brackets cost no depth, as with GitHub: only nodes count. A chain of ``&&`` or ``||`` is one node.
"""

from difflib import get_close_matches
from typing import Final, NamedTuple

from terraphim_runner.expressions.availability import CONTEXTS, SPECIAL_FUNCTIONS, STATUS_FUNCTIONS, Availability
from terraphim_runner.expressions.errors import ExpressionError
from terraphim_runner.expressions.functions import ALL, BY_LOWER_NAME, Function
from terraphim_runner.expressions.lexer import END, NAME, NUMBER, STRING, Token, tokenize
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

_PRECEDENCE: Final = {"||": 1, "&&": 2, "==": 3, "!=": 3, "<": 4, "<=": 4, ">": 4, ">=": 4, "!": 5}
_KEYWORDS: Final[dict[str, None | bool | float]] = {
    "null": None,
    "true": True,
    "false": False,
    "NaN": float("nan"),
    "Infinity": float("inf"),
}
_CLOSING: Final = {"group": ")", "call": ")", "index": "]"}


class _Operand(NamedTuple):
    node: Node
    depth: int


class _Operator(NamedTuple):
    symbol: str
    offset: int


class _Open(NamedTuple):
    """A bracket that waits for its closing one. ``floor`` is how many operands were there before it."""

    kind: str
    token: Token
    floor: int
    function: Function | None = None


def parse(text: str, *, allowed: Availability) -> Expression:
    """Return the expression that the text (without ``${{ }}``) spells; blank text is ``null``.

    Unknown names, names that are out of place and wrong argument counts are found here, also in branches that would
    never be evaluated. Raises ``ExpressionError``, and nothing else, for any text.
    """
    return Expression(source=text, root=_Parser(tokenize(text), allowed).run())


class _Parser:
    """Two states take turns: a value is expected, or something that may follow one."""

    def __init__(self, tokens: list[Token], allowed: Availability) -> None:
        self._tokens = tokens
        self._allowed = allowed
        self._position = 0
        self._operands: list[_Operand] = []
        self._pending: list[_Operator | _Open] = []

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
                    self._pending.append(_Open("group", token, len(self._operands)))
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
        self._next()
        self._pending.append(_Open("call", token, len(self._operands), function))
        if self._peek().kind != ")":
            return False
        self._next()
        self._close_call(0)
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
            self._pending.append(_Open("index", token, len(self._operands)))
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
        if not (self._pending and isinstance(self._pending[-1], _Open) and self._pending[-1].kind == "call"):
            raise _unexpected(token, self._wanted())

    def _close(self, token: Token) -> None:
        self._reduce()
        opened = self._pending[-1] if self._pending else None
        if not isinstance(opened, _Open) or _CLOSING[opened.kind] != token.kind:
            raise _unexpected(token, self._wanted())
        match opened.kind:
            case "call":
                self._close_call(len(self._operands) - opened.floor)
            case "index":
                self._pending.pop()
                key = self._operands.pop()
                owner = self._operands.pop()
                node = Index(owner.node, key.node, opened.token.offset)
                self._push(node, max(owner.depth, key.depth))
            case _:
                self._pending.pop()

    def _close_call(self, count: int) -> None:
        opened = self._pending.pop()
        assert isinstance(opened, _Open)
        assert opened.function is not None
        function = opened.function
        token = opened.token
        is_status = function.name in STATUS_FUNCTIONS
        maximum = min(function.maximum, self._allowed.status_arguments) if is_status else function.maximum
        if complaint := function.complaint(count, maximum):
            raise ExpressionError(complaint, offset=token.offset, length=len(token.text))
        arguments = self._take(count)
        depth = max((operand.depth for operand in arguments), default=0)
        self._push(Call(function.name, tuple(operand.node for operand in arguments), token.offset), depth)

    def _finish(self, token: Token) -> None:
        self._reduce()
        if self._pending:
            raise _unexpected(token, self._wanted())

    def _wanted(self) -> str:
        opened = self._pending[-1] if self._pending else None
        if not isinstance(opened, _Open):
            return "an operator or the end of the expression"
        closing = f"{_CLOSING[opened.kind]!r} for the bracket opened at character {opened.token.offset + 1}"
        return f"',' or {closing}" if opened.kind == "call" else closing

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
            if isinstance(operator, _Open) or _PRECEDENCE[operator.symbol] < strength:
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
            if isinstance(before, _Open) or before.symbol != operator.symbol:
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
    return ExpressionError(f"found {token}, expected {expected}", offset=token.offset, length=max(1, len(token.text)))


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
