"""Made-up samples."""

from benchmarks.histories import History, StepTime
from benchmarks.loads import Load
from benchmarks.rounds import Sample
from benchmarks.scenarios import Competition, Contender, Ended, Scenario

PROCESSES = ("worker", "parsers", "temporal", "valkey", "stand-in", "client")


async def never_run(_at: Competition, _load: Load) -> Ended:
    raise NotImplementedError


def scenario(*contenders: Contender, latency_seconds: float = 0.3, parts: int = 100) -> Scenario:
    """Raw and `contenders`, over documents of one page, 50 in flight."""
    raw = Contender("raw", never_run)
    return Scenario("x", Load(parts=parts, in_flight=50), latency_seconds, (raw, *contenders))


def sample(wall: float, *, cpu: float = 0.0, history: tuple[int, int] | None = None) -> Sample:
    """`cpu` seconds for each of the processes; `history` is events and bytes."""
    steps = (StepTime("read", 100, 12.0, 345.0),)
    return Sample(
        round=1,
        seed=1,
        wall_seconds=wall,
        cpu=dict.fromkeys(PROCESSES, cpu),
        calls=100,
        input_tokens=1,
        calls_at_once=50,
        load_average=1.0,
        history=History(*history, steps) if history else None,
    )
