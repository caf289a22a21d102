#!/usr/bin/env bash
# swebench 5.0.2 with pytest 9.2.0: code that fails its test is reported as resolved, if the failure lies in a `subTest` of unittest.
#
# A unittest whose subtest fails is run by pytest 9, which knows subtests without a plugin, beside a test that fails for reasons of its own, as
# repositories have them: the run ends with exit code 1 and counts two failures.
# Expected: the report of swebench, made of that very log, does not call the instance resolved.
# Seen: pytest's summary has two lines for the test, PASSED and SUBFAILED.  swebench's parser of pytest's logs knows no SUBFAILED, takes
# the PASSED, and the report says resolved.  The same test with plain assertions is reported as not resolved.  (Where nothing else fails, the exit
# code alone gives it away, and the report says that the patch was not applied.)
# Whoever grades repositories with unittest's subtests on pytest 9 has to look for SUBFAILED, or pin pytest 8.
#
# Seen (Python 3.11.7):
#   plain assertion: exit code 1, resolved False
#   subTest:         exit code 1, resolved True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check swebench==5.0.2 pytest==9.2.0

cat > "$folder/test_plain.py" <<'PY'
import unittest


class Doubles(unittest.TestCase):
    def test_doubles(self):
        for number in (1, 2):
            self.assertEqual(number + number, 2)

    def test_unrelated(self):
        self.fail("it never worked here")
PY
cat > "$folder/test_subtests.py" <<'PY'
import unittest


class Doubles(unittest.TestCase):
    def test_doubles(self):
        for number in (1, 2):
            with self.subTest(number=number):
                self.assertEqual(number + number, 2)

    def test_unrelated(self):
        self.fail("it never worked here")
PY
cat > "$folder/grade.py" <<'PY'
import subprocess
import sys
from pathlib import Path

from swebench.harness.grading import get_eval_report
from swebench.types import TestSpec


def resolved(file: str) -> tuple[int, bool]:
    """Run the tests of a file, and grade the log as the official harness does."""
    folder = Path(__file__).parent
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", file],
        cwd=folder, capture_output=True, text=True,
    )
    name = f"{file}::Doubles::test_doubles"
    print(*(line for line in ran.stdout.splitlines() if name in line), sep="\n", flush=True)
    log = folder / "test_output.txt"
    log.write_text(
        f">>>>> Start Test Output\n{ran.stdout}\n>>>>> End Test Output\n>>>>> Test Exit Code: {ran.returncode}\n"
    )
    spec = TestSpec(
        instance_id="one", image="", eval_script_list=[], repo="some/repo", version="", FAIL_TO_PASS=[name],
        PASS_TO_PASS=[], log_parser="parse_log_pytest", eval_type="pass_and_fail",
    )
    prediction = {"instance_id": "one", "model_name_or_path": "", "model_patch": "there is one"}
    report = get_eval_report(spec, prediction, str(log), include_tests_status=True)
    return ran.returncode, report["one"]["resolved"]


plain, subtests = resolved("test_plain.py"), resolved("test_subtests.py")
print("plain assertion, subTest: exit code and resolved:", plain, subtests)
assert plain == (1, False), plain
assert subtests == (1, True), subtests
PY
timeout 300 "$folder/venv/bin/python" "$folder/grade.py"
echo "swebench 5.0.2, pytest 9.2.0: as described"
