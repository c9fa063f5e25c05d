# SPDX-License-Identifier: GPL-2.0
"""The lists of tests: an error in a list is named, and each test has a purpose."""

import config
import listing
import pytest
from report import Failure

GOOD = """
[defaults]
limit = 5
reason = "long enough"
[[test]]
name = "good"
script = "echo 1..0"
"""


def load(tmp_path, text):
    (tmp_path / "tests.toml").write_text(text)
    return config.load_tests(tmp_path / "tests.toml")


def test_defaults_hold_for_an_entry(tmp_path):
    tests = load(tmp_path, GOOD)
    assert [(test.name, test.limit, test.output) for test in tests] == [("good", 5, "tap")]


@pytest.mark.parametrize("more, says", [
    ('limitt = 3', "good has limitt, which no test has"),
    ('program = "x"', "good needs a program or a script"),
    ('output = "loud"', "good has the output 'loud'"),
    ('packages = ["udev"]', "good has a script"),
    ('suites = ["sid"]', "good has suites, and no packages"),
    ('[[test]]\nscript = "x"', "an entry without a name has no name"),
    ('[[test]]\nname = "good"\nscript = "x"', "good is there twice"),
])
def test_what_is_wrong_is_named_with_its_entry(tmp_path, more, says):
    with pytest.raises(Failure, match=says):
        load(tmp_path, GOOD + more)


def all_tests():
    return [test for path in config.test_lists() for test in config.load_tests(path)]


def test_each_test_has_a_purpose():
    assert not [test.name for test in all_tests() if not listing.purpose(test)]


def test_purpose_is_what_the_program_says():
    found = {test.name: listing.purpose(test) for test in all_tests()}
    assert found["mdev_legacy"].startswith("A parent driver that knows nothing but the interface of Linux 5.10 works:")
    assert found["mdevctl"].startswith("mdevctl, as Debian has it: what it prints")
    assert found["runner_reports_silence"] == "The runner reports: the program reported nothing"
    # The purpose of a script is that of the program that it calls: the first paragraph only.
    assert found["kernel_removal"] == found["mdev_removal"]
    assert "REVOKE_ROUNDS" not in found["mdev_revoke_stress"]


def test_each_program_has_an_entry():
    named = {name for path in config.every_list() for test in config.load_tests(path)
             for name in (test.program, *test.needs)}
    programs = {str(path.relative_to(config.TOP / "tools/testing").with_suffix(""))
                for path in (config.TOP / "tools/testing/selftests").rglob("*_test.c")}
    # A program that no list names is never run.
    assert sorted(programs - named) == []


def test_each_test_runs_somewhere():
    targets = [config.load_target(name) for name in config.target_names(long=True)]
    assert not [test.name for test in all_tests() if not any(test.runs_on(target) for target in targets)]
