from hypothesis import given
from hypothesis import strategies as st

from terraphim_runner.providers.image.apt_settings import parse_apt_settings
from terraphim_runner.providers.image.sources import host_sources, parse_deb822, parse_one_line

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
DEB822 = """\
# comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
# a comment inside of a stanza
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
 -----END PGP PUBLIC KEY BLOCK-----

Types: deb
URIs: http://mirror.example/debian
Suites: bookworm-backports
Components: main
Enabled: no
"""


def lay_out(directory, **files):
    (directory / "sources.list.d").mkdir()
    for name, text in files.items():
        (directory / "sources.list.d" / name.replace("__", ".")).write_text(text)
    return directory


def test_deb822_stanzas_are_one_source_per_suite():
    sources = parse_deb822(DEB822)
    assert [source.suite for source in sources] == ["bookworm", "bookworm-updates", "bookworm-security"]
    assert sources[0].components == ("main", "contrib")
    assert sources[0].signed_by == "/usr/share/keyrings/debian-archive-keyring.gpg"


def test_deb822_inline_key_is_not_taken_for_a_file():
    assert parse_deb822(DEB822)[2].signed_by is None


def test_one_line_with_options_and_comment_is_understood():
    (source,) = parse_one_line("deb [arch=amd64 signed-by=/k/debian-archive-x.gpg] http://m/debian bookworm main # x\n")
    assert source.one_line() == "deb [signed-by=/k/debian-archive-x.gpg] http://m/debian bookworm main"


def test_one_line_sources_of_source_packages_and_comments_are_passed_over():
    assert parse_one_line("deb-src http://m/debian bookworm main\n# deb http://m/debian bookworm main\nrubbish\n") == []


def test_host_sources_of_both_formats_are_merged_without_repetition(tmp_path):
    lay_out(tmp_path, a__sources=DEB822)
    (tmp_path / "sources.list").write_text("deb http://other.example/debian/ bookworm main\n" * 2)
    lines = [source.one_line() for source in host_sources("bookworm", tmp_path)]
    assert lines == [
        "deb http://other.example/debian/ bookworm main",
        f"deb [signed-by={KEYRING}] http://mirror.example/debian bookworm main contrib",
        f"deb [signed-by={KEYRING}] http://mirror.example/debian bookworm-updates main contrib",
        "deb http://mirror.example/debian-security bookworm-security main",
    ]


def test_host_sources_third_party_repositories_are_left_out(tmp_path):
    third_party = (
        "deb [signed-by=/k/vendor.gpg] https://vendor.example/debian bookworm main\n"
        "deb https://vendor.example/apt bookworm main\n"
        "deb https://vendor.example/debian bookworm stable\n"
        "deb https://vendor.example/debian bookworm-pgdg main\n"
        "deb https://user:password@mirror.example/debian bookworm main\n"
        "deb file:/srv/debian bookworm main\n"
    )
    lay_out(tmp_path, v__list=third_party, a__sources=DEB822, b__save="deb http://m/debian bookworm main")
    assert {source.uri for source in host_sources("bookworm", tmp_path)} == {
        "http://mirror.example/debian",
        "http://mirror.example/debian-security",
    }


def test_host_sources_of_another_release_are_empty(tmp_path):
    assert host_sources("trixie", lay_out(tmp_path, a__sources=DEB822)) == []


def test_host_sources_without_any_file_are_empty(tmp_path):
    assert host_sources("bookworm", tmp_path) == []


@given(st.text(max_size=300))
def test_sources_parsers_take_any_text(text):
    parse_deb822(text)
    parse_one_line(text)


def test_apt_settings_proxies_go_to_the_environment_not_to_options():
    dump = (
        'Acquire::http::Proxy "http://user:secret@proxy.example:3128";\n'
        'Acquire::https::Proxy "DIRECT";\n'
        'Acquire::Check-Valid-Until "false";\n'
        'Acquire::Check-Date "touch /tmp/x";\n'
        'APT::Update::Pre-Invoke "reboot";\n'
    )
    settings = parse_apt_settings(dump)
    assert settings.options == ('Acquire::Check-Valid-Until "false"',)
    assert settings.proxies == {"http_proxy": "http://user:secret@proxy.example:3128"}
