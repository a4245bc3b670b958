import io

from rich.console import Console

from benchmarks.scenarios import Contender
from benchmarks.tables import scenario_tables
from tests.benchmarks.samples import never_run, sample, scenario

SINGLE = Contender("single runs", never_run, most_x_raw=2.2)


def printed(**samples: list[object]) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=100, markup=False)
    named = {name.replace("_", " "): each for name, each in samples.items()}
    for part in scenario_tables(scenario(SINGLE), named):  # type: ignore[arg-type]
        console.print(part)
    return out.getvalue().splitlines()


def test_large_figures_are_whole_in_100_columns() -> None:
    slow = sample(123.456, cpu=99.999, history=(123_456, 12_345_678))
    lines = printed(raw=[sample(1.0), sample(12.34)], single_runs=[slow, slow])
    assert not any("…" in line for line in lines), "\n".join(lines)
    assert max(map(len, lines)) <= 100


def test_a_contender_is_shown_beside_raw_with_its_aim_and_its_steps() -> None:
    lines = printed(raw=[sample(1.5)], single_runs=[sample(6.0, history=(2400, 634_500))])
    assert lines[1] == "(x) 100 documents of one page, 300 ms a call, 50 in flight, floor 0.60 s"
    walls = [line.split() for line in lines[3:6]]
    assert walls[1] == ["raw", "1.50", "1.50..1.50", "66.7", "2.50", "50", "1.0"]
    assert walls[2] == ["single", "runs", "6.00", "6.00..6.00", "16.7", "10.00", "4.00", "4.00..4.00", "50", "1.0"]
    assert lines[-1] == "aim of single runs: <= 2.2x raw: missed"
    assert any(line.split() == ["read", "100", "12", "345"] for line in lines)
    assert any(line.split()[-2:] == ["24.0", "6,345"] for line in lines)
