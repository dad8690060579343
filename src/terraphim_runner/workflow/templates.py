"""Values that may hold expressions: YAML nodes to templates, and mistakes inside of them to places in the file."""

from terraphim_runner.expressions import (
    Availability,
    Expression,
    ExpressionError,
    Template,
    TemplateTree,
    is_insert,
    mistakes,
    parse_condition,
    parse_template,
)
from terraphim_runner.workflow import nodes
from terraphim_runner.workflow.fields import expected
from terraphim_runner.workflow.findings import Findings, shown
from terraphim_runner.workflow.nodes import Entry, Node, Scalar, Sequence
from terraphim_runner.workflow.scalars import as_text
from terraphim_runner.workflow.tree import Condition, EnvTemplate

_OPENING = "${{"


def template(
    findings: Findings, node: Node, what: str, allowed: Availability, *, may_be_empty: bool = True
) -> Template | None:
    """Return a text with its expressions; numbers and booleans become text. None, noted, for what is no scalar."""
    if not isinstance(node, Scalar):
        expected(findings, node, f"{what} as a string")
        return None
    text = as_text(node)
    if not text and not may_be_empty:
        expected(findings, node, f"a value for {what}")
        return None
    return _parse(findings, node, text, allowed)


def boolean(findings: Findings, node: Node, what: str, allowed: Availability) -> Template | None:
    """Return ``true``, ``false`` or one expression; None, noted, for anything else."""
    if isinstance(node, Scalar) and isinstance(node.value, bool):
        return Template.literal(node.value, findings.source.of(node))
    return expression(findings, node, f"true, false or an expression as {what}", allowed)


def number(findings: Findings, node: Node, what: str, allowed: Availability) -> Template | None:
    """Return a number or one expression; None, noted, for anything else."""
    if isinstance(node, Scalar) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return Template.literal(node.value, findings.source.of(node))
    return expression(findings, node, f"a number or an expression as {what}", allowed)


def condition(findings: Findings, node: Node, allowed: Availability) -> Condition | None:
    """Return an ``if``; None for an empty one, which means ``success()``, and, noted, for a broken one."""
    if not isinstance(node, Scalar):
        expected(findings, node, "a condition as a string")
        return None
    text = as_text(node)
    if not text.strip():
        return None
    try:
        expression = parse_condition(text, allowed=allowed)
        if _OPENING in text:
            _check_text(findings, node, parse_template(text, allowed=allowed, span=findings.source.of(node)))
    except ExpressionError as error:
        _note(findings, node, text, error, allowed)
        return None
    return Condition(expression=expression, source=text, span=findings.source.of(node))


def _check_text(findings: Findings, node: Scalar, parts: Template) -> None:
    """Warn of text beside an expression, line breaks included: it makes the whole a text, which is always true."""
    if len(parts.parts) < 2:
        return
    texts = [part for part in parts.parts if isinstance(part, str)]
    if texts and not "".join(texts).strip():
        message = "found a line break or a blank beside '${{ }}' in a condition, which is then always true"
        fix = "drop the '${{ }}', or begin the block with '>-' or '|-', which leave no line break at its end"
    else:
        message = "found text beside '${{ }}' in a condition, which is then always true"
        fix = "put the whole condition inside of one '${{ }}'"
    findings.warning(node, "if-always-true", message, fix=fix)


def environment(findings: Findings, node: Node, what: str, allowed: Availability) -> EnvTemplate:
    """Return a mapping of names to texts, or the one expression that yields an object; what is wrong is noted."""
    if not isinstance(node, nodes.Mapping):
        whole = expression(findings, node, f"{what} as a mapping", allowed)
        return {} if whole is None else whole
    return templates(findings, node, what, allowed, keys=allowed)


def templates(
    findings: Findings, node: Node, what: str, allowed: Availability, *, keys: Availability | None = None
) -> dict[str, Template]:
    """Return a mapping of names to texts; what is wrong is noted and left out.

    ``keys`` is what a name that is an expression may use; without it a name may be none.
    """
    if not isinstance(node, nodes.Mapping):
        expected(findings, node, f"{what} as a mapping")
        return {}
    found: dict[str, Template] = {}
    for name, entry in node.entries.items():
        if is_key(findings, name, entry, what, keys):
            value = template(findings, entry.value, f"the value of {shown(name)}", allowed)
            if value is not None:
                found[name] = value
    return found


def scalars(findings: Findings, node: Node, what: str, allowed: Availability) -> dict[str, Template]:
    """Return a mapping of names to strings, numbers or booleans, which keep their kind."""
    if not isinstance(node, nodes.Mapping):
        expected(findings, node, f"{what} as a mapping")
        return {}
    found: dict[str, Template] = {}
    for name, entry in node.entries.items():
        if not is_key(findings, name, entry, what, None):
            continue
        value = entry.value
        if isinstance(value, Scalar) and isinstance(value.value, bool | int | float):
            found[name] = Template.literal(value.value, findings.source.of(value))
            continue
        text = template(findings, value, f"the value of {shown(name)}", allowed)
        if text is not None:
            found[name] = text
    return found


def sequence(findings: Findings, node: Node, what: str, allowed: Availability) -> tuple[Template, ...] | Template:
    """Return a sequence of texts that are not empty, or the one expression that yields it; what is wrong is noted."""
    if not isinstance(node, Sequence):
        whole = expression(findings, node, f"{what} as a sequence of strings", allowed)
        return () if whole is None else whole
    items = [template(findings, item, f"an item of {what}", allowed, may_be_empty=False) for item in node.items]
    return tuple(item for item in items if item is not None)


def tree(findings: Findings, node: Node, what: str, allowed: Availability) -> TemplateTree | None:
    """Return a whole YAML value with its expressions; scalars without any keep their kind. None when one is broken."""
    if isinstance(node, Scalar):
        if isinstance(node.value, str):
            return _parse(findings, node, node.value, allowed)
        return Template.literal(node.value, findings.source.of(node))
    if isinstance(node, Sequence):
        items = [tree(findings, item, what, allowed) for item in node.items]
        return tuple(item for item in items if item is not None)
    found: dict[str, TemplateTree] = {}
    for name, entry in node.entries.items():
        if is_key(findings, name, entry, what, allowed):
            value = tree(findings, entry.value, what, allowed)
            if value is not None:
                found[name] = value
    return found


def is_key(findings: Findings, name: str, entry: Entry, what: str, allowed: Availability | None) -> bool:
    """Tell whether a free key may be one; noted when it is empty, a broken expression, or one out of place.

    ``allowed`` is what an expression as a key may use, None where none may stand; ``${{ insert }}``, whose value's
    entries become the mapping's own, may stand there, too.
    """
    if _OPENING in name:
        if allowed is not None:
            return is_insert(name) or _parse(findings, entry.key, name, allowed) is not None
        place = findings.source.inside(entry.key, entry.key.text.index(_OPENING), len(_OPENING))
        findings.error(place, "expression-place", f"found an expression as a key in {what}, where none may stand")
        return False
    if not name:
        findings.error(entry.key, "type", f"found an empty key in {what}, expected a name")
        return False
    return True


def is_expression(node: Node) -> bool:
    """Tell whether a node is a string with an expression in it."""
    return isinstance(node, Scalar) and isinstance(node.value, str) and _OPENING in node.value


def expression(findings: Findings, node: Node, what: str, allowed: Availability) -> Template | None:
    """Return the one expression that a node is; None, noted with ``what`` is expected, for anything else.

    With text beside it the value is a text, which GitHub refuses only once it is evaluated: a warning says so.
    """
    if not isinstance(node, Scalar) or not is_expression(node):
        expected(findings, node, what)
        return None
    # Blanks around the expression are no part of the value here, unlike in a text.
    stripped = node.text.strip()
    parsed = _parse(findings, node, stripped, allowed, shift=node.text.index(stripped))
    if parsed is not None and not (len(parsed.parts) == 1 and isinstance(parsed.parts[0], Expression)):
        message = f"found text beside an expression, which makes it a text when it runs, expected {what}"
        findings.warning(node, "expression-text", message, fix="put the whole value inside of one '${{ }}'")
    return parsed


def _parse(findings: Findings, node: Scalar, text: str, allowed: Availability, *, shift: int = 0) -> Template | None:
    try:
        return parse_template(text, allowed=allowed, span=findings.source.of(node))
    except ExpressionError as error:
        _note(findings, node, text, error, allowed, shift)
        return None


def _note(
    findings: Findings, node: Scalar, text: str, error: ExpressionError, allowed: Availability, shift: int = 0
) -> None:
    """Note the mistake and, where it is one of several in a text, the others, too."""
    every = mistakes(text, allowed=allowed) if _OPENING in text else ()
    for mistake in every or (error,):
        place = findings.source.inside(node, mistake.offset + shift, mistake.length)
        findings.error(place, "expression", mistake.message)
