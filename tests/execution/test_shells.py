import pytest

from terraphim_runner.execution.shells import ShellError, find_shell, prepare_script


@pytest.mark.parametrize(
    ("name", "argv"),
    [
        (None, ("bash", "-e", "/s")),
        ("bash", ("bash", "--noprofile", "--norc", "-eo", "pipefail", "/s")),
        ("sh", ("sh", "-e", "/s")),
        ("python", ("python", "/s")),
        ("pwsh", ("pwsh", "-command", ". '/s'")),
        ("perl {0}", ("perl", "/s")),
        ("bash -x {0} --flag", ("bash", "-x", "/s", "--flag")),
        ('env "A=b c" sh {0}', ("env", "A=b c", "sh", "/s")),
        ('x \\"{0}\\"', ("x", '"/s"')),
    ],
)
def test_find_shell_gives_githubs_flags(name, argv):
    assert find_shell(name).argv("/s") == argv


@pytest.mark.parametrize("name", ["fish", "cmd", "powershell", "bash -x"])
def test_find_shell_of_one_that_cannot_be_says_what_is_expected(name):
    with pytest.raises(ShellError, match="found shell"):
        find_shell(name)


def test_prepare_script_gives_unix_line_ends():
    assert prepare_script("a\r\nb", find_shell("bash")) == b"a\nb"
