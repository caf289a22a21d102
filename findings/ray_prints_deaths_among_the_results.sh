#!/usr/bin/env bash
# Ray 2.60.0: a driver that wants no logs gets those of a killed worker on its standard output, among what it prints itself.
#
# An actor with max_restarts=-1 and max_task_retries=-1 is killed in a task; Ray starts it anew and runs the task again, and the driver prints the result, a
# line of JSON.  It was connected with log_to_driver=False and logging_level="ERROR", and everything is as it should be.
# Expected: one line on standard output; if anything is said of the death, it is on standard error, or nowhere.
# Seen: standard error is empty, and standard output begins with two messages of the raylet, one that the task "failed" and "will be retried", one that a worker
# died.  They are published to every driver, not read from a worker's log, so that log_to_driver does not concern them.  A program whose output is read by another
# one has to redirect its standard output while Ray works.
#
# Seen (Python 3.11.7; standard output, then standard error):
#   (raylet) Task Worker.work failed. There are infinite retries remaining, so the task will be retried. ...
#   (raylet) A worker died or was killed while executing a task by an unexpected system error. ...
#   {"attempt": 2}
#   nothing
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check ray==2.60.0

cat > "$folder/killed.py" <<'PY'
import json
import os
import signal
import sys
import time
from pathlib import Path

import ray

begun = Path(sys.argv[1])
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")


@ray.remote(max_restarts=-1, max_task_retries=-1)
class Worker:
    def pid(self) -> int:
        return os.getpid()

    def work(self) -> str:
        if begun.exists():
            return json.dumps({"attempt": 2})
        begun.touch()
        time.sleep(60)
        return json.dumps({"attempt": 1})


worker = Worker.remote()
pid = ray.get(worker.pid.remote())
result = worker.work.remote()
while not begun.exists():
    time.sleep(0.05)
os.kill(pid, signal.SIGKILL)
print(ray.get(result), flush=True)
time.sleep(5)  # the second message comes a moment later than the result
PY

HOME="$folder" RAY_AUTH_MODE=disabled timeout 240 "$folder/venv/bin/python" "$folder/killed.py" "$folder/begun" > "$folder/out" 2> "$folder/err"
sed 's/\x1b\[[0-9]*m//g' "$folder/out" | cut -c 1-110
printf 'on standard error: %s bytes\n' "$(wc -c < "$folder/err")"

grep -q '^{"attempt": 2}$' "$folder/out" || { echo "changed: the result is not there"; exit 1; }
grep -q 'Task Worker.work failed' "$folder/out" || { echo "changed: standard output has no message of the retry"; exit 1; }
grep -q 'A worker died' "$folder/out" || { echo "changed: standard output has no message of the death"; exit 1; }
[ ! -s "$folder/err" ] || { echo "changed: standard error is not empty"; exit 1; }
echo "as described"
