"""A run's figures as Prometheus reads them: what a `Progress` has counted, and the margins, put together when they are asked for.

Nothing is done for Prometheus at a step but one addition.  Figures are those of the job, earlier runners included, as in its report; of
jobs in parts those of all workers.  The label is `run`: `job` is Prometheus' own.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from surefoot.orchestration.events import (
    Back,
    Began,
    Ended,
    Event,
    StepDecided,
    StitchedStands,
    Waiting,
    current_run,
)
from surefoot.orchestration.progress import Progress
from surefoot.voting.drift import drift_evidence

from .endings import ENDINGS, ending
from .redis_memory import RedisMemory

MARGINS = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 50)
"""Upper bounds of the buckets of margins."""
RUN = ("run",)
WAITED_FOR = ("redis", "model", "person")


class RunMetrics(Collector):
    """Collects the metrics of what a `Progress` shows, which hears each event first; `span_counts` says what became of the spans, by name."""

    def __init__(
        self,
        progress: Progress,
        span_counts: Callable[[], Mapping[str, int]],
        memory: RedisMemory | None = None,
    ) -> None:
        self._progress = progress
        self._span_counts = span_counts
        self._memory = memory
        self._run = ""
        """What the two below are counted of."""
        self._margins: dict[int, int] = defaultdict(int)
        self._ended: Counter[str] = Counter()
        self._waiting: dict[object, str] = {}
        """What each run waits for that waits."""

    @property
    def run(self) -> str:
        """The name of what is shown: of a job, or of the whole that several runs belong to."""
        return self._progress.stitched or self._progress.job

    def listen(self, event: Event) -> None:
        """Count the margin of a decided step, how runs end, and what they wait for; all else is counted by the `Progress`."""
        if type(event) is StepDecided:
            record = event.record
            others = record.others
            if others:
                self._margins[record.votes - max([votes for _, votes in others])] += 1
            elif record.votes:
                self._margins[record.votes] += 1
        elif type(event) is Waiting:
            self._waiting[current_run()] = event.on
        elif type(event) is Back:
            # Whoever else waits for the same says so again at the next try.
            self._waiting = {run: what for run, what in self._waiting.items() if what != event.on}
        elif type(event) is Ended:
            self._waiting.pop(current_run(), None)
            self._ended[ending(event)] += 1
        elif type(event) in (Began, StitchedStands) and self._run != self.run:
            self._run, self._margins, self._ended = self.run, defaultdict(int), Counter()

    def collect(self) -> Iterator[Metric]:
        """Yield every metric.  Called in the thread of the scrape: each mapping is copied in one go, since the run writes it meanwhile."""
        progress, run = self._progress, self.run
        yield _gauge("steps", "Steps decided so far, those of earlier runners included.", run, progress.step)
        yield _gauge("durable_steps", "Of these, the steps that are durable.", run, progress.durable)
        if progress.steps is not None:
            yield _gauge("expected_steps", "Steps that the whole job should take.", run, progress.steps)
        if progress.parts:
            yield _gauge("parts", "Parts of a stitched job.", run, progress.parts)
            yield _gauge("done_parts", "Of these, the parts that are done.", run, progress.parts_done)
        yield _gauge("k", "Lead that decides an election; 0 before the first step.", run, progress.k)
        yield _gauge("commit_age_seconds", "Seconds since the last commit.", run, progress.durable_age_s)
        waiting = GaugeMetricFamily("surefoot_waiting", "Runs that wait.", labels=(*RUN, "what"))
        for what, runs in (dict.fromkeys(WAITED_FOR, 0) | Counter(dict(self._waiting).values())).items():
            waiting.add_metric((run, what), runs)
        yield waiting
        if progress.predicted is not None:
            said = "Chance of a wrong step somewhere in the job, as calibrated."
            yield _gauge("predicted_risk", said, run, 1 - progress.predicted)
        if (measured := progress.measured) is not None:
            said = "The same at the bound that the run's own dissent allows."
            yield _gauge("measured_risk", said, run, 1 - measured)
        if progress.error_bound is not None:
            evidence = drift_evidence(progress.contested, progress.votes, progress.error_bound)
            said = "Evidence that ballots err more often than calibrated; 100 is an alarm."
            yield _gauge("drift_evidence", said, run, evidence)
        for name, size in ({} if self._memory is None else self._memory.figures()).items():
            said = f"Memory of Redis: {'used' if name == 'used' else 'what it may use'}."
            yield _gauge(f"redis_{name}_bytes", said, run, size)
        yield from self._counters(run)
        said = "Spans, by what became of them; those neither exported nor failed wait or are lost."
        yield _counters("spans", said, run, "outcome", self._span_counts())

    def _counters(self, run: str) -> Iterator[Metric]:
        progress, usage = self._progress, self._progress.usage
        yield _counter("votes", "Ballots that counted.", run, progress.votes)
        yield _counter("dissenting_votes", "Votes against the winner of their step.", run, progress.dissent)
        yield _counter("contested_steps", "Steps on which ballots differed.", run, progress.contested)
        yield _counter("reused_steps", "Steps that took the verdict of an earlier one.", run, progress.reused)
        yield _counter("repairs", "Segments that were decided again.", run, progress.repairs)
        yield _counters("red_flags", "Samples thrown away.", run, "reason", dict(progress.flags))
        tokens = {name: getattr(usage, name) for name in ("prompt", "cached", "completion", "reasoning")}
        said = "Tokens of all samples; prompt includes cached, completion includes reasoning."
        yield _counters("tokens", said, run, "kind", tokens)
        said = "Samples of which the server did not say what they cost, or not all of it."
        yield _counter("uncounted_samples", said, run, usage.uncounted)
        yield _counters("speculation", "What asking ahead has done.", run, "what", dict(progress.ahead))
        yield _counters("rungs", "What a ladder has done.", run, "what", dict(progress.rungs))
        # Every word from the beginning: Prometheus sees no increase in a counter that comes up with 1.
        ended = dict.fromkeys(ENDINGS, 0) | dict(self._ended)
        yield _counters("ended_runs", "Runs of this process that are over.", run, "how", ended)
        yield self._margin_histogram(run)

    def _margin_histogram(self, run: str) -> Metric:
        margins = dict(self._margins)
        within = [sum(count for margin, count in margins.items() if margin <= bound) for bound in MARGINS]
        whole = sum(margins.values())
        buckets = [
            *zip(map(str, map(float, MARGINS)), map(float, within), strict=True),
            ("+Inf", float(whole)),
        ]
        family = HistogramMetricFamily(
            "surefoot_margin_votes",
            "Votes for a step's winner less those for the next best answer.",
            labels=RUN,
        )
        family.add_metric((run,), buckets, sum(margin * count for margin, count in margins.items()))
        return family


def _gauge(name: str, said: str, run: str, value: float) -> Metric:
    family = GaugeMetricFamily(f"surefoot_{name}", said, labels=RUN)
    family.add_metric((run,), value)
    return family


def _counter(name: str, said: str, run: str, value: float) -> Metric:
    family = CounterMetricFamily(f"surefoot_{name}", said, labels=RUN)
    family.add_metric((run,), value)
    return family


def _counters(name: str, said: str, run: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"surefoot_{name}", said, labels=(*RUN, label))
    for each, value in values.items():
        family.add_metric((run, each), value)
    return family
