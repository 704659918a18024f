"""Measures of a running fleet: warm cache, upstream path, memory; and the time from exec to the first right answer.

Rounds alternate the servers, so that what else the machine does falls on all of them alike.
"""

from tests.bench import processes, servers
from tests.bench.load import Load
from tests.bench.setting import Result, Setting, fleet, serving
from tests.bench.statistics_table import LIMIT

EDNS_SIZE = 1232
KEPT = ("qps", "lost", "noerror", "nxdomain", "servfail", "refused", "truncated", "p50_us", "p99_us", "p999_us", "max_us", "cpu_us")


def measure_fleet(setting: Setting, *, warm: bool, memory: bool, upstream: bool) -> None:
    """Warm first, then memory, then the upstream path: each as a user would meet it, none disturbed by the next."""
    with fleet(setting) as started:
        servers_only = [server for server in started if server.kind.name != LIMIT]
        if warm:
            _alternate(setting, started, "with EDNS", Load(setting.questions, setting.seconds, edns=EDNS_SIZE))
            _alternate(setting, started, "without EDNS", Load(setting.questions, setting.seconds))
        elif memory:
            for server in servers_only:
                setting.run(server, Load(setting.questions, setting.seconds))
        if memory:
            for server in servers_only:
                _memory(setting, server, "after the warm load")
        if upstream:
            _upstream(setting, servers_only)
            if memory:
                for server in servers_only:
                    _memory(setting, server, "after the upstream load")


def _alternate(setting: Setting, started: list[servers.Server], case: str, work: Load) -> None:
    """A first round that does not count fills every cache."""
    for server in started:
        setting.run(server, work)
    for number in range(1, setting.rounds + 1):
        for server in started:
            _record_load(setting, server, work, measure="warm", case=case, number=number)


def _upstream(setting: Setting, started: list[servers.Server]) -> None:
    """Names that nobody asked before: every query goes to the upstream and back."""
    for number in range(1, setting.rounds + 1):
        for server in started:
            work = Load(setting.popular_questions, setting.seconds, unique=f"r{number}x")
            _record_load(setting, server, work, measure="upstream", case="unique names", number=number)


def _record_load(setting: Setting, server: servers.Server, work: Load, *, measure: str, case: str, number: int) -> None:
    result = setting.run(server, work)
    detail = {key: result[key] for key in KEPT if key in result}
    setting.record(Result(measure, server.kind.name, result["qps"], "queries/s", number, case, detail))


def _memory(setting: Setting, server: servers.Server, case: str) -> None:
    pids = server.running.pids()
    used = processes.memory(pids)
    detail = {"rss": used.rss, "anonymous": used.anonymous, "largest_process_pss": used.largest, "processes": len(pids)}
    setting.record(Result("memory", server.kind.name, used.pss / 1e6, "MB", case=case, detail=detail))


def measure_start(setting: Setting) -> None:
    """From exec to the first right answer of a blocked name."""
    for number in range(1, setting.rounds + 1):
        for kind in setting.kinds:
            if kind.name == LIMIT:
                continue
            try:
                with serving(setting, kind) as server:
                    setting.record(Result("start", kind.name, server.ready_after, "s", number))
            except processes.NotRunning as error:
                setting.say(f"{kind.title}: {error}")
