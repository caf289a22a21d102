"""What the dashboard says of jobs of every kind, over HTTP: the figures of the journal, and nothing that was not measured."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import httpx
import pytest
from redis import Redis

import surefoot
from surefoot import Settings, Stalled, Towers
from surefoot.models.doubles import Garbage, towers_double
from surefoot.orchestration.journal import load
from surefoot.orchestration.redis import open_redis
from surefoot.orchestration.workers import read_stitched

from .conftest import HOSTILE, TOKEN, Dashboard, agent

KINDS = {
    "towers": "solved",
    "calibrated": "solved",
    "tall": "done",
    "product": "solved",
    "agent": "solved",
    "asks": "asking",
    "stuck": "stalled",
    "halted": "stopped",
}


async def got(client: httpx.AsyncClient, path: str, **query: Any) -> Any:
    answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def first_event(client: httpx.AsyncClient, **query: Any) -> Any:
    """The first thing that a browser is told."""
    async with client.stream("GET", "/events", params=query) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                return json.loads(line[6:])["view"]
    raise AssertionError("the stream ended without an event")


async def test_the_list_has_every_job_and_a_stitched_one_in_place_of_its_parts(
    house: str, dashboard: Dashboard
) -> None:
    async with dashboard(house) as client:
        view = await first_event(client)
    assert {job["id"]: job["status"] for job in view["jobs"]} == KINDS
    assert (view["found"], view["of"]) == (len(KINDS), len(KINDS))
    tall = next(job for job in view["jobs"] if job["id"] == "tall")
    assert (tall["parts"], tall["step"], tall["steps"]) == (4, 127, 127)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"text": "PRODUCT"}, {"product"}),
        ({"text": "goal-double"}, {"product"}),
        ({"status": "asking"}, {"asks"}),
        ({"text": "towers", "status": "stopped"}, {"halted"}),
        ({"text": "no such thing"}, set()),
    ],
    ids=str,
)
async def test_jobs_are_found_by_text_and_status(
    house: str, dashboard: Dashboard, query: dict[str, str], expected: set[str]
) -> None:
    async with dashboard(house) as client:
        view = await first_event(client, **query)
    assert {job["id"] for job in view["jobs"]} == expected
    assert view["found"] == len(expected)


async def test_a_job_has_the_figures_of_its_report(house: str, dashboard: Dashboard) -> None:
    async with dashboard(house) as client:
        view = await first_event(client, job="towers")
        more = await got(client, "/api/report", job="towers")
    report = await surefoot.report("towers", redis=house)
    for name in (
        "steps",
        "votes",
        "samples",
        "contested",
        "red_flags",
        "dissent_rate",
        "k",
        "head",
        "wall_s",
    ):
        assert view["report"][name] == getattr(report, name), name
    assert view["tokens"] == report.tokens.model_dump()
    assert [each["step"] for each in more["contested_steps"]] == [
        each.step for each in report.contested_steps
    ]
    assert (more["solved"], more["read_back"]) == (True, report.steps_read_back)
    assert view["pace"] is None and view["cost"] is None  # it does not run, and nobody told a price


async def test_the_latest_steps_add_up_to_what_the_records_say(house: str, dashboard: Dashboard) -> None:
    async with dashboard(house) as client:
        latest = (await first_event(client, job="towers"))["latest"]
        course = await got(client, "/api/course", job="towers")
    report = await surefoot.report("towers", redis=house)
    assert (latest["steps"], latest["voted"], latest["votes"]) == (report.steps, report.steps, report.votes)
    assert latest["contested"] == report.contested and latest["flags"] == report.red_flags
    assert sum(steps for _, steps in latest["margins"]) == report.steps
    assert sum(against * steps for against, steps in latest["dissents"]) == latest["against"]
    assert min(lead for lead, _ in latest["margins"]) >= report.k
    assert sum(part["contested"] for part in course["read"]) == report.contested
    assert [part["first"] for part in course["read"]] == [0, 100, 200, 300, 400, 500]


async def test_a_calibrated_job_says_what_was_predicted(house: str, dashboard: Dashboard) -> None:
    async with dashboard(house) as client:
        view = await first_event(client, job="calibrated")
    report = await surefoot.report("calibrated", redis=house)
    assert (view["report"]["risk"], view["report"]["risk_bound"]) == (report.risk, report.risk_bound)
    assert 0 < view["error"] < 1 and view["report"]["reliability"] == 0.9


async def test_a_price_turns_tokens_into_cost_so_far_and_projected(house: str, dashboard: Dashboard) -> None:
    price = surefoot.Price(2.0, 8.0)
    async with dashboard(house, price=price) as client:
        view = await first_event(client, job="halted")
        unknown = await first_event(client, job="product")
    tokens = view["tokens"]
    assert view["cost"] == pytest.approx(price.of(tokens["prompt"], tokens["completion"], tokens["cached"]))
    assert view["projected"]["tokens"] == pytest.approx(tokens["total"] * 31 / 7)
    assert view["projected"]["cost"] == pytest.approx(view["cost"] * 31 / 7)
    assert unknown["projected"] is None  # nobody knows how many steps a problem takes


async def test_a_step_shows_its_prompt_ballots_and_tally(house: str, dashboard: Dashboard) -> None:
    report = await surefoot.report("towers", redis=house)
    contest = report.contested_steps[0]
    async with dashboard(house) as client:
        step = await got(client, "/api/step", job="towers", step=contest.step)
    assert (step["winner"], step["votes"]) == (contest.winner, contest.votes)
    assert {each["answer"]: each["votes"] for each in step["against"]} == contest.against
    assert len([each for each in step["samples"] if not each["flag"]]) >= contest.votes
    # The prompt is the one that the runner asked: the double answers it with the winner.
    (prompt,) = step["prompt"]
    right = towers_double().draw(surefoot.models.Ask(prompt["content"], 0.0, 100, 0)).text
    assert right in [each["text"] for each in step["samples"] if each["ballot"] == contest.winner]


async def test_a_step_of_a_stitched_job_is_that_of_its_part(house: str, dashboard: Dashboard) -> None:
    async with dashboard(house) as client:
        step = await got(client, "/api/step", job="tall", step=60)
        same = await got(client, "/api/step", job="tall/1", step=60 - step["first"])
        view = await first_event(client, job="tall")
        more = await got(client, "/api/report", job="tall")
    assert step["job"] == "tall/1" and step["winner"] == same["winner"] and step["prompt"] == same["prompt"]
    assert [part["id"] for part in view["parts"]] == ["tall/0", "tall/1", "tall/2", "tall/3"]
    assert [part["first"] for part in view["parts"]] == [0, 31, 63, 95] and view["more"] == 0
    async with open_redis(house) as redis:
        assert more["solved"] and more["workers"] == (await read_stitched(redis, "tall")).workers


async def test_a_stall_is_a_stall_with_what_was_asked(house: str, dashboard: Dashboard) -> None:
    async with dashboard(house) as client:
        more = await got(client, "/api/report", job="stuck")
        step = await got(client, "/api/step", job="stuck", step=0)
    assert more["stall"]["step"] == 0 and more["stall"]["red_flags"] and not more["solved"]
    assert more["next"] == "surefoot resume stuck"
    assert step["prompt"] and "winner" not in step


async def test_the_turns_of_an_agent_have_calls_observations_and_a_score(
    house: str, dashboard: Dashboard
) -> None:
    async with dashboard(house) as client:
        found = await got(client, "/api/turns", job="agent", first=-1)
        refused = await client.get("/api/turns", params={"job": "towers", "first": 0})
    first, second, last = found["turns"]
    assert first["calls"] == [{"name": "in_stock", "arguments": '{"what":"tea"}'}]
    assert "3 packets of tea" in first["seen"][0]["text"]
    assert (second["seen"][0]["outcome"], last["calls"]) == ("failed", [])
    # The end was declared on a failure that nobody looked at: 8 on the scale of the signals.
    assert [turn["score"] for turn in found["turns"]] == [0.0, 0.0, 8.0]
    assert refused.status_code == 400 and "not an agent's" in refused.json()["error"]


async def test_what_hides_in_a_text_is_shown_as_an_escape(house: str, dashboard: Dashboard) -> None:
    async with dashboard(house) as client:
        said = (await got(client, "/api/turns", job="agent", first=0))["turns"][0]["said"]
    assert "</script>" in said and "\u202e" in HOSTILE
    assert "\u202e" not in said and "\x1b" not in said and r"\u202e" in said


async def test_a_plan_is_a_tree_and_a_flowchart(house: str, dashboard: Dashboard) -> None:
    async with dashboard(house) as client:
        plan = await got(client, "/api/plan", job="product")
        refused = await client.get("/api/plan", params={"job": "towers"})
    whole, *parts = plan["nodes"]
    assert (whole["parent"], whole["answer"]) == (None, "662068")
    assert parts and all(plan["nodes"][part["parent"]] for part in parts)
    assert plan["mermaid"].startswith("flowchart TD")
    assert refused.status_code == 400


async def test_a_job_that_runs_has_a_pace_and_one_that_is_new_appears(
    empty: str, dashboard: Dashboard
) -> None:
    model = towers_double(latency=0.01)
    async with dashboard(empty) as client:
        assert (await first_event(client))["jobs"] == []
        running = asyncio.create_task(
            surefoot.run(Towers(12, "compact"), Settings(k=2), model=model, redis=empty, job="live")
        )
        async with client.stream("GET", "/events", params={"job": "live"}) as answer:
            async for line in answer.aiter_lines():
                view = json.loads(line[6:])["view"] if line.startswith("data: ") else {}
                if view.get("pace") and view["pace"]["minute"]:
                    break
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    minute = view["pace"]["minute"]
    assert view["status"] == "running" and view["holder"].startswith("process ")
    assert 0 < minute["steps_s"] <= 100 and minute["over_s"] >= 1
    assert view["pace"]["left"] is None  # too little was seen to tell


async def test_damage_is_said_and_does_not_hide_the_others(empty: str, dashboard: Dashboard) -> None:
    model = towers_double()
    for job in ("sound", "damaged", "broken"):
        await surefoot.run(Towers(4, "compact"), Settings(k=2), model=model, redis=empty, job=job)
    with Redis.from_url(empty) as client:
        client.hset("surefoot:{damaged}:meta", "settings", "{}")
        client.lset("surefoot:{broken}:log:0", 0, b"0 15 no frame")
    async with dashboard(empty) as browser:
        view = await first_event(browser)
        damaged = await first_event(browser, job="damaged")
        broken = await first_event(browser, job="broken")
        answer = await browser.get("/api/report", params={"job": "broken"})
    assert {job["id"]: job["status"] for job in view["jobs"]} == {
        "sound": "solved",
        "broken": "solved",
        "damaged": "unreadable",
    }
    assert damaged["status"] == "unreadable" and "description cannot be read" in damaged["why"]
    assert broken["latest"] is None and "header" in broken["unread"]
    assert answer.status_code == 409 and "header" in answer.json()["error"]


async def test_what_a_person_decides_and_cancels_is_what_the_command_line_does(
    empty: str, dashboard: Dashboard
) -> None:
    await agent(votes={"irreversible": "person"}).run("Order two packets.", redis=empty, job="asks")
    told: list[str] = []
    async with dashboard(empty, token=TOKEN, say=told.append) as client:
        client.headers.update(
            {"Authorization": f"Bearer {TOKEN}", "Origin": str(client.base_url).rstrip("/")}
        )
        question = (await got(client, "/api/report", job="asks"))["question"]
        wrong = await client.post(
            "/api/decide", json={"job": "asks", "question": question["id"], "answer": "perhaps"}
        )
        right = await client.post(
            "/api/decide", json={"job": "asks", "question": question["id"], "answer": "yes"}
        )
        twice = await client.post(
            "/api/decide", json={"job": "asks", "question": question["id"], "answer": "no"}
        )
        cancelled = await client.post("/api/cancel", json={"job": "asks"})
        unknown = await client.post("/api/cancel", json={"job": "nobody"})
    assert [wrong.status_code, right.status_code, twice.status_code] == [400, 200, 400]
    assert "yes" in wrong.json()["error"] and "already" in twice.json()["error"]
    assert (cancelled.status_code, unknown.status_code) == (200, 404)
    assert (await surefoot.report("asks", redis=empty)).status == "cancelled"
    assert told == [
        f"question {question['id']} of job asks was answered 'yes' in the dashboard",
        "job asks was cancelled in the dashboard",
    ]


async def test_a_job_is_suspended_let_go_on_and_given_another_limit(empty: str, dashboard: Dashboard) -> None:
    with suppress(Stalled):
        await surefoot.run(
            Towers(4, "compact"), Settings(k=2, limit=10), model=Garbage(), redis=empty, job="stuck"
        )
    told: list[str] = []
    views = []
    async with dashboard(empty, token=TOKEN, say=told.append) as client:
        client.headers.update(
            {"Authorization": f"Bearer {TOKEN}", "Origin": str(client.base_url).rstrip("/")}
        )
        for path, body in (
            ("/api/suspend", {"job": "stuck"}),
            ("/api/suspend", {"job": "stuck", "off": True}),
            ("/api/limit", {"job": "stuck", "limit": 40}),
        ):
            assert (await client.post(path, json=body)).status_code == 200
            async with open_redis(empty) as redis:
                job = await load(redis, "stuck")
            views.append((job.suspended, job.settings.limit))
        refused = [
            (await client.post("/api/limit", json={"job": "stuck", "limit": 0})).status_code,
            (await client.post("/api/limit", json={"job": "nobody", "limit": 9})).status_code,
            (await client.post("/api/suspend", json={"job": "stuck", "on": True})).status_code,
        ]
        client.headers["Authorization"] = "Bearer another-token-0123"
        refused.append((await client.post("/api/suspend", json={"job": "stuck"})).status_code)
    assert views == [(True, 10), (False, 10), (False, 40)]
    assert refused == [400, 404, 400, 401]
    assert told == [
        "job stuck was suspended in the dashboard",
        "job stuck was let go on in the dashboard",
        "steps of job stuck were given a limit of 40 samples in the dashboard",
    ]


async def test_a_user_of_redis_who_may_only_read_is_enough(house: str, dashboard: Dashboard) -> None:
    with Redis.from_url(house) as client:
        client.execute_command(
            "ACL",
            "SETUSER",
            "looker",
            "on",
            ">secret",
            "~surefoot:*",
            "resetchannels",
            "+@read",
            "+@connection",
        )
    url = house.replace("unix://", "unix://looker@") + "?password=secret"
    async with dashboard(url, token=TOKEN) as client:
        assert len((await first_event(client))["jobs"]) == len(KINDS)
        asked = {
            "/api/report": ("towers", "tall", "asks", "stuck"),
            "/api/course": ("towers",),
            "/api/plan": ("product",),
            "/api/step?step=3": ("towers", "tall", "agent"),
            "/api/turns?first=0": ("agent",),
        }
        for path, names in asked.items():
            for name in names:
                assert (
                    await client.get(path, params={**httpx.URL(path).params, "job": name})
                ).status_code == 200, path
        own = {"Authorization": f"Bearer {TOKEN}", "Origin": str(client.base_url).rstrip("/")}
        refused = await client.post("/api/cancel", json={"job": "halted"}, headers=own)
    assert refused.status_code == 503 and "Redis" in refused.json()["error"]
