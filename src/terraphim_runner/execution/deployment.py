"""The address of a job's deployment environment, known only after its steps: ``environment.url``.

Documentation: "Workflow syntax", ``jobs.<job_id>.environment``. Nobody records deployments; the job's log tells of one.
"""

from terraphim_runner.execution.frame import JobFrame
from terraphim_runner.expressions import EvaluationError, Object, Scope, evaluate_tree, render, to_string
from terraphim_runner.model.job import LogKind
from terraphim_runner.workflow.tree import Environment


async def tell_environment(frame: JobFrame) -> None:
    """Log ``environment <name>: <url>`` for a job that has both. Never fails the job.

    A URL that does not evaluate is a warning, and so is one that holds a secret: it is not shown, as on GitHub.
    """
    environment, name = frame.request.job.environment, frame.request.leg.environment
    if environment is None or name is None:
        return
    scope = frame.contexts.scope(state=frame.state, env={**frame.environment, **frame.state.environment})
    try:
        url = _url(environment, scope)
    except EvaluationError as error:
        await frame.say(0, LogKind.WARNING, f"the url of environment {name!r} cannot be evaluated: {error}")
        return
    if frame.masks.hides(url):
        await frame.say(0, LogKind.WARNING, f"skip the url of environment {name!r} since it may contain secret.")
    elif url:
        await frame.say(0, LogKind.OUTPUT, f"environment {name}: {url}")


def _url(environment: Environment, scope: Scope) -> str:
    if environment.url is not None:
        return render(environment.url, scope)
    # An expression in the short form may yield the whole mapping.
    whole = evaluate_tree(environment.name, scope)
    return to_string(whole.get("url")) if isinstance(whole, Object) else ""
