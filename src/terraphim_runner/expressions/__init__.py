"""GitHub's expression language: ``${{ }}`` from text to values. Pure: no file, no clock, no run is known here.

``parse``, ``parse_template`` and ``parse_condition`` find every mistake that can be found without values and raise
``ExpressionError``; ``evaluate``, ``resolve``, ``render`` and ``evaluate_tree`` need a ``Scope`` and raise
``EvaluationError``.
"""

from terraphim_runner.expressions.availability import ANYTHING, CONTEXTS, SPECIAL_FUNCTIONS, Availability
from terraphim_runner.expressions.budget import Budget
from terraphim_runner.expressions.coercion import equals, is_truthy, to_number, to_string
from terraphim_runner.expressions.condition import calls_status_function, parse_condition
from terraphim_runner.expressions.errors import EvaluationError, ExpressionError
from terraphim_runner.expressions.evaluation import Scope, evaluate
from terraphim_runner.expressions.parser import parse
from terraphim_runner.expressions.template import (
    Template,
    TemplateTree,
    evaluate_tree,
    is_insert,
    mistakes,
    parse_template,
    render,
    resolve,
)
from terraphim_runner.expressions.tree import Expression, references
from terraphim_runner.expressions.values import Array, Object, Value, from_json, kind, to_json

__all__ = [
    "ANYTHING",
    "CONTEXTS",
    "SPECIAL_FUNCTIONS",
    "Array",
    "Availability",
    "Budget",
    "EvaluationError",
    "Expression",
    "ExpressionError",
    "Object",
    "Scope",
    "Template",
    "TemplateTree",
    "Value",
    "calls_status_function",
    "equals",
    "evaluate",
    "evaluate_tree",
    "from_json",
    "is_insert",
    "is_truthy",
    "kind",
    "mistakes",
    "parse",
    "parse_condition",
    "parse_template",
    "references",
    "render",
    "resolve",
    "to_json",
    "to_number",
    "to_string",
]
