"""Names from outside."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terraphim_runner.github.names import (
    BadNameError,
    checked_branch,
    checked_clone_url,
    checked_full_name,
    checked_ref,
    checked_sha,
    is_zero,
)


@pytest.mark.parametrize("name", ["octo/hello", "a-b_corp/.github", "A1/x.y_z-0", "o/-"])
def test_full_name_of_github_is_returned(name):
    assert checked_full_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        "a/",
        "/a",
        "a/b/c",
        "../a",
        "a/..",
        "a/.",
        "-a/b",
        "a/b c",
        "a/b\n",
        "a/b\0",
        "a/ü",
        "a/b.GIT",
        "a/" + "b" * 101,
    ],
)
def test_full_name_that_is_hostile_is_refused(name):
    with pytest.raises(BadNameError):
        checked_full_name(name)


@pytest.mark.parametrize(
    "ref", ["refs/heads/main", "refs/heads/feature/ü☃", "refs/pull/7/merge", "refs/tags/v1.0", "refs/heads/-a"]
)
def test_ref_that_git_knows_is_returned(ref):
    assert checked_ref(ref) == ref


@pytest.mark.parametrize(
    "branch", ["-a", "@", "HEAD", "", "a..b", "a/", "/a", "a.lock", "a.lock/b", ".a", "a\n", "a~1", "a" * 500]
)
def test_branch_that_git_refuses_is_refused(branch):
    with pytest.raises(BadNameError):
        checked_branch(branch)


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from("ab./-@{}~^:?*[\\ \x01\x7fü"), max_size=8))
def test_ref_is_accepted_when_git_accepts_it(name):
    ref = f"refs/heads/{name}"
    known = subprocess.run(["git", "check-ref-format", ref], check=False).returncode == 0
    try:
        checked_ref(ref)
        accepted = True
    except BadNameError:
        accepted = False
    assert accepted == known


@pytest.mark.parametrize("sha", ["", "abc", "g" * 40, "A" * 40, "a" * 41, "a" * 40 + "\n", "-" + "a" * 39])
def test_sha_that_is_none_is_refused(sha):
    with pytest.raises(BadNameError):
        checked_sha(sha)


def test_zero_sha_is_told_from_others():
    assert is_zero("0" * 40)
    assert not is_zero("0" * 39 + "1")
    assert not is_zero("")


@pytest.mark.parametrize(
    "url", ["https://github.com/o/r.git", "https://ghes.example:8443/o/r", "file:///srv/git/o/r.git"]
)
def test_clone_url_that_is_plain_is_returned(url):
    assert checked_clone_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "http://h/a",
            "ssh://h/a",
            "git://h/a",
            "ext::sh",
            "git@h:a",
            "/a",
            "-u",
            "https://",
            "https:///a",
            "https://h",
        ),
        *("https://u@h/a", "https://u:p@h/a", "https://h/a b", "https://h/a\nb", "https://h/a?b", "https://h/a#b"),
        *("file://host/a", "file:a", "https://h:99999/a", "https://[::1/a", "https://-h/a", "https://h/" + "a" * 2000),
    ],
)
def test_clone_url_that_is_not_plain_is_refused_without_being_shown(url):
    with pytest.raises(BadNameError) as caught:
        checked_clone_url(url)
    assert "u:p" not in str(caught.value)
