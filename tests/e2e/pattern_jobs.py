"""Jobs outside the checkout, one of each pattern, and documents for them: every chunk a section of its own."""

import random
from pathlib import Path
from typing import Final

SECTION_TOKENS: Final = 512
SHORT_TOKENS: Final = 64
FAN_IN: Final = 8

_SCHEMAS: Final = """from pydantic import BaseModel, Field
class Slip(BaseModel):
    section: str = Field(description="As printed at the head. Labelled: Section.")
class Kind(BaseModel):
    label: str = Field(description="What the document is about.")
    confidence: float = Field(ge=0, le=1)
class Judgement(BaseModel):
    issues: list[str] = []
    score: float
"""
_IMPORTS: Final = """from engross import Chain, FanOut, Job, MapReduce, Refine, Router, Step
from .schema import Judgement, Kind, Slip
"""
_MAP: Final = 'map=Step("map", output=Slip, max_output_tokens=256), reduce=Step("reduce", output=Slip)'
# Two wires, so that faults can be told to meet the one step or the other.
_WRITE: Final = 'Step("write", output=Slip, route="openai:stand-in")'
_JUDGE: Final = 'Step("judge", output=Judgement, route="anthropic:stand-in")'
# The pattern, and the names of its steps.
_JOBS: Final = {
    "sections": (f"MapReduce({_MAP}, chunk_tokens={SECTION_TOKENS}, overlap_tokens=0, fan_in={FAN_IN})", "map reduce"),
    "scraps": (f"MapReduce({_MAP}, chunk_tokens={SHORT_TOKENS}, overlap_tokens=0, fan_in={FAN_IN})", "map reduce"),
    "book": (f"MapReduce({_MAP})", "map reduce"),
    "whole": (f"MapReduce({_MAP}, chunk_tokens=1_000_000, overlap_tokens=0)", "map reduce"),
    "single": ('Chain(Step("read", output=Slip))', "read"),
    "sorter": ('Router(Step("classify", output=Kind), {"slip": "single"})', "classify"),
    "polish": (f"Refine({_WRITE}, {_JUDGE})", "write judge"),
    "polish_or_ask": (f'Refine({_WRITE}, {_JUDGE}, below="approval")', "write judge"),
}


def write_pattern_jobs(root: Path) -> str:
    """Writes all of them below `root`, which is given back for ENGROSS_JOBS_PATH."""
    for name, (pattern, steps) in _JOBS.items():
        (root / name / "prompts").mkdir(parents=True)
        (root / name / "job.py").write_text(f'{_IMPORTS}JOB = Job(description="{name}", pattern={pattern})\n')
        (root / name / "schema.py").write_text(_SCHEMAS)
        for step in steps.split():
            (root / name / "prompts" / f"{step}.md").write_text("Read the slip.")
    return str(root)


def sections(seed: int, count: int, *, least: int = 330, growth: int = 2) -> str:
    """`count` sections, as many chunks of the job `sections` when there are at most 70: from `least` tokens to the
    first, `growth` more to each, so that calls can be told apart by their length. The seed makes it another document.
    """
    return "\n\n".join(_section(seed, number, least + growth * number) for number in range(count))


def scraps(seed: int, count: int) -> str:
    """`count` sections, each a chunk of the job `scraps`."""
    return sections(seed, count, least=58, growth=0)


def marker(seed: int, number: int) -> str:
    """What only section `number`, from 0, of that document says."""
    return f"{seed:06}-{number:04}"


def _section(seed: int, number: int, tokens: int) -> str:
    words = random.Random(number).choices(("one", "two", "red", "box", "day", "sun", "map", "ice"), k=tokens - 25)  # noqa: S311 - filler
    lines = [" ".join(words[at : at + 12]) for at in range(0, len(words), 12)]
    return "\n".join([f"Section: {marker(seed, number)}", *lines])
