"""Requests are instructor's own, word for word, and built once."""

import json
from collections.abc import Callable
from typing import Any, ClassVar

import anthropic
import httpx2
import instructor
import openai
import pytest
from pydantic import BaseModel, GetJsonSchemaHandler, create_model
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from activities.models.forms import anthropic_form, openai_form
from activities.models.prompts import Prompt
from activities.models.providers import Provider
from tests.activities.models.test_providers import Slip, call

PROMPTS = (
    Prompt(system="Read the slip.", user="Total: 5"),
    Prompt(
        system=" Be brief.\n\n  {{ x }} {system} %s\n", user='{% raw %} </document> "quoted" \\1 \N{DROMEDARY CAMEL}\n'
    ),
    Prompt(system="The same", user="The same"),
)
MODES = (instructor.Mode.TOOLS, instructor.Mode.JSON, instructor.Mode.MD_JSON)


class Wire:
    """Keeps the request that an SDK would send."""

    def __init__(self) -> None:
        self.sent: dict[str, Any] = {}
        self.http = httpx2.AsyncClient(transport=httpx2.MockTransport(self._keep))

    def _keep(self, request: httpx2.Request) -> httpx2.Response:
        self.sent = json.loads(request.content)
        return httpx2.Response(400)


async def through_instructor(client: Any, wire: Wire, **request: Any) -> dict[str, Any]:
    with pytest.raises(instructor.core.InstructorRetryException):
        await client.create(model="m", response_model=Slip, max_retries=0, **request)
    await wire.http.aclose()
    return wire.sent


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: str(mode.value))
@pytest.mark.parametrize("prompt", PROMPTS)
async def test_a_chat_completion_asks_as_instructor_would(mode: instructor.Mode, prompt: Prompt) -> None:
    wire = Wire()
    sdk = openai.AsyncOpenAI(api_key="k", base_url="http://provider.invalid", http_client=wire.http, max_retries=0)
    messages = [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}]
    expected = await through_instructor(instructor.from_openai(sdk, mode=mode), wire, messages=messages)
    assert openai_form(Slip, mode).filled(prompt) | {"model": "m"} == expected


@pytest.mark.parametrize("prompt", PROMPTS)
async def test_a_message_asks_as_instructor_would(prompt: Prompt) -> None:
    wire = Wire()
    sdk = anthropic.AsyncAnthropic(
        api_key="k", base_url="http://provider.invalid", http_client=wire.http, max_retries=0
    )
    client = instructor.from_anthropic(sdk, mode=instructor.Mode.TOOLS)
    messages = [{"role": "user", "content": prompt.user}]
    expected = await through_instructor(client, wire, system=prompt.system, messages=messages, max_tokens=5)
    assert anthropic_form(Slip).filled(prompt) | {"model": "m", "max_tokens": 5} == expected


@pytest.mark.parametrize("form", [lambda output: openai_form(output, MODES[0]), anthropic_form])
def test_outputs_of_one_name_keep_their_own_schemas(form: Callable[[type[BaseModel]], Any]) -> None:
    one, other = create_model("Same", a=int), create_model("Same", b=int)
    forms = [json.dumps(form(output).filled(PROMPTS[0])) for output in (one, other, one)]
    assert forms[0] == forms[2] != forms[1]


class Described(BaseModel):
    """Counts how often somebody wants its schema."""

    times: ClassVar[int] = 0
    slip_number: str

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        Described.times += 1
        return handler(schema)


async def test_the_schema_is_built_once(provider: Provider) -> None:
    asked = call().__class__(**vars(call()) | {"output": Described})
    first = await provider.call(asked)
    times = Described.times
    assert times > 0
    again = [await provider.call(asked) for _ in range(3)]
    assert [reply.text for reply in again] == [first.text] * 3
    assert Described.times == times
