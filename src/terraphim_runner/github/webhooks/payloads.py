"""The few fields of GitHub's payloads that decide what runs, checked; everything else passes unread.

Types are strict (no number for a string), further keys are welcome: GitHub adds some every month.
"""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from terraphim_runner.github.names import (
    checked_branch,
    checked_clone_url,
    checked_full_name,
    checked_ref,
    checked_sha,
)

FullName = Annotated[str, AfterValidator(checked_full_name)]
Ref = Annotated[str, AfterValidator(checked_ref)]
Branch = Annotated[str, AfterValidator(checked_branch)]
Sha = Annotated[str, AfterValidator(checked_sha)]
CloneUrl = Annotated[str, AfterValidator(checked_clone_url)]
# Users, ``name[bot]`` apps and managed users; it becomes an environment variable and part of log lines.
Login = Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9_.\-]*(\[bot\])?$")]
Number = Annotated[int, Field(ge=1, lt=2**53)]


class Payload(BaseModel):
    """A part of a payload."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class RepositoryPayload(Payload):
    full_name: FullName
    clone_url: CloneUrl | None = None
    """GitHub always sends it; only a repository that has to be mirrored needs it."""
    default_branch: Branch | None = None


class SenderPayload(Payload):
    login: Login = ""


class RepositoryEventPayload(Payload):
    """What every event of a repository has."""

    repository: RepositoryPayload
    sender: SenderPayload = SenderPayload()


class HeadCommitPayload(Payload):
    id: Sha


class PushPayload(RepositoryEventPayload):
    ref: Ref
    after: Sha
    before: Sha | None = None
    created: bool = False
    deleted: bool = False
    forced: bool = False
    head_commit: HeadCommitPayload | None = None


class ForkPayload(Payload):
    full_name: FullName


class HeadPayload(Payload):
    ref: Branch
    sha: Sha
    repo: ForkPayload | None = None
    """None when the fork was deleted."""


class BasePayload(Payload):
    ref: Branch
    sha: Sha


class PullRequestPayload(Payload):
    number: Number
    head: HeadPayload
    base: BasePayload
    merge_commit_sha: Sha | None = None
    merged: bool | None = None
    """Missing from the payloads of reviews."""


class PullRequestEventPayload(RepositoryEventPayload):
    pull_request: PullRequestPayload


class DispatchPayload(RepositoryEventPayload):
    ref: Branch
    """Full or short: the webhook says ``refs/heads/main``."""


class CreatePayload(RepositoryEventPayload):
    ref: Branch
    ref_type: Annotated[str, Field(pattern="^(branch|tag|repository)$")]


class ReleaseDetailPayload(Payload):
    tag_name: Branch
    draft: bool = False


class ReleasePayload(RepositoryEventPayload):
    release: ReleaseDetailPayload


class MergeGroupDetailPayload(Payload):
    head_sha: Sha
    head_ref: Ref
    base_sha: Sha
    base_ref: Ref


class MergeGroupPayload(RepositoryEventPayload):
    merge_group: MergeGroupDetailPayload


class DeploymentDetailPayload(Payload):
    sha: Sha
    ref: Branch
    """A branch, a tag or a commit: whatever the deployment was asked for."""


class DeploymentPayload(RepositoryEventPayload):
    deployment: DeploymentDetailPayload


class PackageVersionPayload(Payload):
    target_commitish: Branch | None = None
    target_oid: Sha | None = None


class PackageDetailPayload(Payload):
    package_version: PackageVersionPayload | None = None


class PackagePayload(RepositoryEventPayload):
    registry_package: PackageDetailPayload
