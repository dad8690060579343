"""Text with ``${{ }}`` in it, and the trees of such text that a workflow file is made of.

Parsed once, evaluated many times, each time in one pass: what an expression inserts is never looked at again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from terraphim_runner.expressions.availability import ANYTHING, Availability
from terraphim_runner.expressions.budget import ITEM_BYTES, Budget
from terraphim_runner.expressions.coercion import WHITESPACE, to_string
from terraphim_runner.expressions.errors import EvaluationError, ExpressionError
from terraphim_runner.expressions.evaluation import Scope, evaluate
from terraphim_runner.expressions.functions.signature import MANY
from terraphim_runner.expressions.lexer import MAX_LENGTH, length_of
from terraphim_runner.expressions.parser import MAX_DEPTH, parse
from terraphim_runner.expressions.tree import Expression, depth_of
from terraphim_runner.expressions.values import Array, Object, Value, integer, kind
from terraphim_runner.model.source import Span

OPENING: Final = "${{"
_MAX_MISTAKES: Final = 100
_BODY: Final = re.compile(r"((?:[^'}]++|'[^']*+'|\}(?!\}))*)\}\}")
"""An expression and its end; a ``}}`` inside of quoted text is not the end.

The group is not possessive: before Python 3.11.5 (Debian 12 has 3.11.2) such a group matches wrongly. It need not be:
its alternatives begin differently and keep what they took, so going back is refused at each of them at once.
"""

Part = bool | float | str | Expression | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """Literals and expressions in turn. A single part keeps its own kind; several make a text.

    An ``Expression.offset`` counts characters in ``source``.
    """

    parts: tuple[Part, ...]
    span: Span
    source: str

    @classmethod
    def literal(cls, value: bool | float | str | None, span: Span, source: str | None = None) -> "Template":
        """Return the template of a scalar without expressions; an ``int`` becomes the number it is."""
        part = integer(value) if isinstance(value, int) and not isinstance(value, bool) else value
        return cls(parts=(part,), span=span, source=to_string(part) if source is None else source)

    @property
    def is_literal(self) -> bool:
        """Whether the value is known without a scope."""
        return not any(isinstance(part, Expression) for part in self.parts)

    @property
    def expressions(self) -> tuple[Expression, ...]:
        return tuple(part for part in self.parts if isinstance(part, Expression))


TemplateTree = Template | tuple["TemplateTree", ...] | Mapping[str, "TemplateTree"]
"""A YAML value whose scalars are templates."""


def split(text: str, *, allowed: Availability) -> tuple[str | Expression, ...]:
    """Return the literal texts and the expressions of a text, in order, without empty texts.

    Raises ``ExpressionError`` with the offset in the text: a bad expression, an empty one, one without ``}}``, or a
    whole that is too long.
    """
    parts = _split(text, allowed, most=1)
    for part in parts:
        if isinstance(part, ExpressionError):
            raise part
    return cast("tuple[str | Expression, ...]", parts)


def mistakes(text: str, *, allowed: Availability) -> tuple[ExpressionError, ...]:
    """Return the first ``_MAX_MISTAKES`` in the text, in order; ``split`` and ``parse_template`` raise the first."""
    return tuple(part for part in _split(text, allowed, most=_MAX_MISTAKES) if isinstance(part, ExpressionError))


def _split(text: str, allowed: Availability, *, most: int) -> tuple[str | Expression | ExpressionError, ...]:
    parts: list[str | Expression | ExpressionError] = []
    position = count = 0
    while (start := text.find(OPENING, position)) >= 0:
        if start > position:
            parts.append(text[position:start])
        if count == MANY - 1:
            message = f"found more than {count} expressions in one text, expected fewer: split it up"
            return (*parts, ExpressionError(message, offset=start, length=len(OPENING)))
        count += 1
        begin = start + len(OPENING)
        body = _BODY.match(text, begin)
        if body is None:
            message = "found '${{' without its end, expected '}}' outside of quoted text"
            return (*parts, ExpressionError(message, offset=start, length=len(OPENING)))
        try:
            parts.append(_expression(body[1], begin, allowed))
        except ExpressionError as error:
            parts.append(error)
            most -= 1
            if most == 0:
                return tuple(parts)
        position = body.end()
    if position < len(text) or not parts:
        parts.append(text[position:])
    if len(parts) > 1 and (error := _excess(text, parts)):
        return (*parts, error)
    return tuple(parts)


def _excess(text: str, parts: list[str | Expression | ExpressionError]) -> ExpressionError | None:
    """Return what is wrong with the size of a text with expressions in it.

    GitHub makes one ``format('…{0}…', …)`` of the whole and refuses one that is longer or deeper than an expression may
    be; quotes and braces of the text count twice, for they are doubled.
    """
    for part in parts:
        # Each level takes a character at least.
        if isinstance(part, Expression) and len(part.source) >= MAX_DEPTH and depth_of(part.root) >= MAX_DEPTH:
            message = f"found an expression nested more than {MAX_DEPTH - 1} levels deep in a text: split it up"
            return ExpressionError(message, offset=part.offset, length=len(part.source))
    if 2 * len(text) + 4 * len(parts) + 16 <= MAX_LENGTH:
        return None
    length = len("format('')")
    index = 0
    for part in parts:
        if isinstance(part, str):
            length += length_of(part) + sum(part.count(char) for char in "'{}")
        elif isinstance(part, Expression):
            length += len(f"{{{index}}}, ") + length_of(part.source)
            index += 1
    if length <= MAX_LENGTH:
        return None
    found = f"a text with expressions that is {length} characters long as the one expression that GitHub makes of it"
    message = f"found {found}, expected at most {MAX_LENGTH}: split it up, or pass the values in variables of env"
    return ExpressionError(message, offset=0, length=len(text))


def _expression(body: str, begin: int, allowed: Availability) -> Expression:
    source = body.strip(WHITESPACE)
    offset = begin + len(body) - len(body.lstrip(WHITESPACE))
    if not source:
        message = "found an empty expression '${{ }}', expected a value inside"
        raise ExpressionError(message, offset=begin - len(OPENING), length=len(body) + len(OPENING) + 2)
    try:
        root = parse(source, allowed=allowed).root
    except ExpressionError as error:
        raise ExpressionError(error.message, offset=offset + error.offset, length=error.length) from None
    return Expression(source=source, root=root, offset=offset)


def parse_template(text: str, *, allowed: Availability, span: Span) -> Template:
    """Return the template of a text, of one literal when it has no ``${{``. Raises ``ExpressionError`` as ``split``."""
    parts = split(text, allowed=allowed) if OPENING in text else (text,)
    return Template(parts=parts, span=span, source=text)


def resolve(template: Template, scope: Scope, *, budget: Budget | None = None) -> Value:
    """Return the value: of a single part as it is, else the parts' texts in a row. Raises ``EvaluationError``."""
    first, *others = template.parts
    if not others and not isinstance(first, Expression):
        return first
    budget = budget or Budget()
    if not others and isinstance(first, Expression):
        return evaluate(first, scope, budget=budget)
    texts: list[str] = []
    for part in template.parts:
        text = to_string(evaluate(part, scope, budget=budget) if isinstance(part, Expression) else part)
        budget.make(len(text))
        texts.append(text)
    return "".join(texts)


def render(template: Template, scope: Scope) -> str:
    """Return ``resolve``'s value as text. Raises ``EvaluationError``."""
    return to_string(resolve(template, scope))


def evaluate_tree(tree: TemplateTree, scope: Scope, *, budget: Budget | None = None) -> Value:
    """Return the tree's value, under one budget for all of it; a sequence becomes an array, a mapping an object.

    An item of a sequence that is an expression for an array stands for the array's items, as GitHub inserts them; what
    lies deeper in it stays as it is. A key may be an expression, too; under the key ``${{ insert }}`` stands an object
    whose entries are inserted. Recursive: whoever builds the tree bounds its depth.
    """
    return _evaluate_tree(tree, scope, budget or Budget())


def is_insert(key: str) -> bool:
    """Tell whether a key of a mapping is the directive ``${{ insert }}``."""
    return _INSERT.fullmatch(key) is not None


_INSERT: Final = re.compile(r"\$\{\{\s*insert\s*\}\}")
_NOWHERE: Final = Span.at(1, 1)


def _evaluate_mapping(tree: Mapping[str, TemplateTree], scope: Scope, budget: Budget) -> Object:
    entries: dict[str, Value] = {}
    for key, item in tree.items():
        value = _evaluate_tree(item, scope, budget)
        if OPENING not in key:
            entries[key] = value
        elif not is_insert(key):
            # What it may use was checked when the file was parsed.
            name = parse_template(key, allowed=ANYTHING, span=_NOWHERE)
            entries[to_string(resolve(name, scope, budget=budget))] = value
        elif isinstance(value, Object):
            budget.make(ITEM_BYTES * len(value))
            entries.update(value.items())
        elif value is not None:
            raise EvaluationError(f"found a value of kind {kind(value)} under '${{{{ insert }}}}', expected an object")
    return Object(entries)


def _evaluate_tree(tree: TemplateTree, scope: Scope, budget: Budget) -> Value:
    if isinstance(tree, Template):
        return resolve(tree, scope, budget=budget)
    budget.make(ITEM_BYTES * len(tree))
    if isinstance(tree, Mapping):
        return _evaluate_mapping(tree, scope, budget)
    items: list[Value] = []
    for item in tree:
        value = _evaluate_tree(item, scope, budget)
        if isinstance(item, Template) and isinstance(value, Array):
            budget.make(ITEM_BYTES * len(value))
            items.extend(value)
        else:
            items.append(value)
    return Array(items)
