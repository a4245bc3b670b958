"""The floor: the same calls by plain asyncio, instructor and the OpenAI SDK, in a process that is warm by then.

`python -m benchmarks.raw URL` says `{"ready": true}`, then runs a load for each line of JSON on stdin, and says
on stdout how long it took.
"""

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import instructor
import openai

from activities.models.prompts import build_prompt
from benchmarks.loads import Load, NotMeasured, check_answers
from engross.catalog import load_catalog
from engross.job import LoadedJob

JOBS: Final = Path(__file__).parent / "jobs"
MODEL: Final = "stand-in"
PAGE: Final = "page"
REPORT: Final = "report"


@dataclass(frozen=True)
class Asker:
    """Makes calls with the prompts and schemas of `jobs`, in the words in which Engross makes them."""

    client: instructor.AsyncInstructor
    jobs: dict[str, LoadedJob]

    async def ask(self, job: str, step_name: str, text: str) -> Any:
        """One call: the answer, an instance of the step's schema."""
        step = self.jobs[job].step(step_name)
        prompt = build_prompt(self.jobs[job].prompts[step_name], text)
        return await self.client.create(
            model=MODEL,
            response_model=step.output,
            messages=[{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
            max_tokens=step.max_output_tokens,
            temperature=step.temperature,
            max_retries=0,
        )


async def read_pages(asker: Asker, load: Load, texts: list[str]) -> list[Any]:
    """One call a document."""
    gate = asyncio.Semaphore(load.in_flight)

    async def one(text: str) -> Any:
        async with gate:
            return await asker.ask(PAGE, "read", text)

    return await asyncio.gather(*map(one, texts))


async def read_report(asker: Asker, load: Load, texts: list[str]) -> list[Any]:
    """A call a chunk, then a call for so many answers as `fan_in` says, until one is left."""
    gate = asyncio.Semaphore(load.in_flight)

    async def one(step: str, text: str) -> Any:
        async with gate:
            return await asker.ask(REPORT, step, text)

    read = answers = await asyncio.gather(*(one("map", text) for text in texts))
    while load.fan_in and len(answers) > 1:
        groups = [answers[at : at + load.fan_in] for at in range(0, len(answers), load.fan_in)]
        answers = await asyncio.gather(*(one("reduce", _together(group)) for group in groups))
    return read


def _together(answers: list[Any]) -> str:
    return "\n".join(answer.model_dump_json() for answer in answers)


async def run(asker: Asker, load: Load) -> dict[str, float]:
    """Runs the load: the seconds it took, and those of CPU that this process used. Raises `NotMeasured`."""
    wanted = load.pages()
    texts = [page.text for page in wanted]
    read = read_report if load.fan_in else read_pages
    began, cpu_began = time.perf_counter(), time.process_time()
    answers = await read(asker, load, texts)
    ended = {"wall_seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu_began}
    check_answers(wanted, [(answer.reference, answer.total) for answer in answers])
    return ended


async def serve(url: str) -> None:
    """Answers line by line until stdin ends."""
    sdk = openai.AsyncOpenAI(base_url=url, api_key="benchmark", max_retries=0)
    asker = Asker(instructor.from_openai(sdk, mode=instructor.Mode.TOOLS), load_catalog((JOBS,)).jobs)
    await run(asker, Load(parts=1, in_flight=1))
    _say({"ready": True})
    while line := await asyncio.to_thread(sys.stdin.readline):
        try:
            _say(dict(await run(asker, Load(**json.loads(line)))))
        except NotMeasured as error:
            _say({"error": str(error)})
    await sdk.close()


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(answer)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
