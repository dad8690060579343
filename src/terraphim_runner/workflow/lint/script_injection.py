"""``script-injection``: text that a stranger chose becomes part of a script.

An expression in ``run:`` is replaced before a shell reads the script, so a pull request's title, a branch's name or a
commit's message can hold commands. A variable has no such effect: ``env: {TITLE: ${{ … }}}`` and ``"$TITLE"``.

Followed are the functions and operators that pass a text on, ``toJSON`` of anything around it, and a variable of the
workflow, the job or the step that is put into the script as ``${{ env.NAME }}``. The list of what strangers choose is
that of GitHub's documentation, "Script injections", and the payloads of its webhooks.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from terraphim_runner.expressions import Expression, Template
from terraphim_runner.expressions.paths import ANY, Path, path_of
from terraphim_runner.expressions.printing import to_source
from terraphim_runner.expressions.tree import And, Call, Index, Node, Or, Wildcard
from terraphim_runner.model.source import Related
from terraphim_runner.workflow.lint.subject import Finding, Spot, Subject, spots_in
from terraphim_runner.workflow.tree import EnvTemplate, Job, RunStep, Step, UsesStep

ID: Final = "script-injection"
SUMMARY: Final = "text that a stranger chose becomes part of a script"

_SCRIPT_ACTION: Final = "actions/github-script@"
_COMMIT: Final = ("message", "author.email", "author.name", "committer.email", "committer.name")
_EVENT: Final = (
    *("issue.title", "issue.body"),
    *("pull_request.title", "pull_request.body", "pull_request.head.ref", "pull_request.head.label"),
    *("pull_request.head.repo.default_branch", "pull_request.head.repo.description"),
    *("pull_request.head.repo.homepage", "pull_request.milestone.title"),
    *("comment.body", "review.body", "review_comment.body", "discussion.title", "discussion.body"),
    *("changes.title.from", "changes.body.from"),
    *("pages.*.page_name", "pages.*.title", "pages.*.summary"),
    *(f"commits.*.{name}" for name in _COMMIT),
    *(f"head_commit.{name}" for name in _COMMIT),
    *(f"workflow_run.head_commit.{name}" for name in _COMMIT),
    *("workflow_run.head_branch", "workflow_run.display_title", "workflow_run.head_repository.description"),
    *("workflow_run.pull_requests.*.head.ref", "check_suite.head_branch", "forkee.description", "forkee.homepage"),
)
_UNTRUSTED: Final[tuple[Path, ...]] = (
    ("github", "head_ref"),
    *(("github", "event", *name.split(".")) for name in _EVENT),
)
_PASSING: Final = frozenset({"format", "join", "fromJSON"})
"""Functions whose result holds their arguments' text. What ``contains`` and the like yield is harmless."""


def check(subject: Subject) -> Iterator[Finding]:
    """Look at each script of each step."""
    for item in subject.jobs.values():
        for step, _ in item.steps:
            scopes = (step.env, item.job.env, subject.workflow.env)
            for spot in _script(step):
                yield from _judge(subject, spot, scopes, item.job)


def _script(step: Step) -> Iterator[Spot]:
    if isinstance(step, RunStep):
        yield from spots_in(step.run)
    elif isinstance(step, UsesStep) and step.uses.lower().startswith(_SCRIPT_ACTION):
        inputs = step.with_
        if isinstance(inputs, Mapping):
            yield from (spot for name, value in inputs.items() if name.lower() == "script" for spot in spots_in(value))


def _judge(subject: Subject, spot: Spot, scopes: tuple[EnvTemplate, ...], job: Job) -> Iterator[Finding]:
    for node, path, whole in _flows(spot.expression.root, whole=False):
        name = to_source(node)
        if _is_untrusted(path, whole=whole):
            what = f"all of {name!r}" if whole else repr(name)
            message = f"found {what} in a script: whoever triggers the event chooses its text, and so can run commands"
            fix = "hand it over as a variable below 'env', and quote the variable in the script"
            yield Finding(span=subject.place(spot, node), message=message, fix=fix)
        elif len(path) == 2 and path[0] == "env" and path[1] != ANY:
            source = _variable(path[1], scopes)
            if source is not None and _holds_untrusted(source):
                message = (
                    f"found {name!r} in a script of job {job.key!r}: the variable holds text that a stranger chooses"
                )
                related = (Related(message="the variable is set here", span=source.span),)
                fix = 'let the shell read the variable, as in "$NAME"'
                yield Finding(span=subject.place(spot, node), message=message, fix=fix, related=related)


def _variable(name: str, scopes: tuple[EnvTemplate, ...]) -> Template | None:
    """Return what the innermost scope sets the variable to; None when one of them is computed as a whole."""
    for scope in scopes:
        if not isinstance(scope, Mapping):
            return None
        for key, value in scope.items():
            if key.lower() == name:
                return value
    return None


def _holds_untrusted(template: Template) -> bool:
    return any(_reads_untrusted(expression) for expression in template.expressions)


def _reads_untrusted(expression: Expression) -> bool:
    return any(_is_untrusted(path, whole=whole) for _, path, whole in _flows(expression.root, whole=False))


def _flows(node: Node, *, whole: bool) -> Iterator[tuple[Node, Path, bool]]:
    """Yield the paths whose text can be in the node's text, and whether all that is below them is in it, too."""
    path = path_of(node)
    if path is not None:
        yield node, path, whole
        return
    match node:
        case Index(object=owner) | Wildcard(object=owner):
            # A property of something computed, such as fromJSON(…).title.
            yield from _flows(owner, whole=whole)
        case Call():
            for argument in _passed_on(node):
                yield from _flows(argument, whole=whole or node.function == "toJSON")
        case And():
            # An operand that is not truthy has no text worth the name.
            yield from _flows(node.operands[-1], whole=whole)
        case Or():
            for operand in node.operands:
                yield from _flows(operand, whole=whole)
        case _:
            pass


def _passed_on(call: Call) -> tuple[Node, ...]:
    if call.function in _PASSING or call.function == "toJSON":
        return call.arguments
    if call.function == "case":
        return (*call.arguments[1::2], call.arguments[-1])
    return ()


def _is_untrusted(path: Path, *, whole: bool) -> bool:
    return any(
        (len(path) == len(known) or (whole and len(path) < len(known)))
        and all(ours in (theirs, ANY) or theirs == ANY for ours, theirs in zip(path, known, strict=False))
        for known in _UNTRUSTED
        if path[0] == known[0]
    )
