"""Names that cross processes: task queues, search attributes, run ids, and what a name may look like."""

import hashlib
import re
from typing import Final

WORKFLOWS_QUEUE: Final = "workflows"
DOCUMENTS_QUEUE: Final = "documents"

JOB_ATTRIBUTE: Final = "EngrossJob"
TENANT_ATTRIBUTE: Final = "EngrossTenant"
OUTCOME_ATTRIBUTE: Final = "EngrossOutcome"
SEARCH_ATTRIBUTES: Final = (JOB_ATTRIBUTE, TENANT_ATTRIBUTE, OUTCOME_ATTRIBUTE)

# What people and commands may tell a run, and what it shows while it waits for them.
RESUME_SIGNAL: Final = "resume"
RAISE_BUDGET_UPDATE: Final = "raise_budget"
BUDGET_QUERY: Final = "budget"
DECIDE: Final = "decide"  # the update, and the signal
APPROVAL_QUERY: Final = "approval"
PARKED_MEMO: Final = "EngrossParked"

# What a client says of a document that needs no parser; the worker that reads it looks for itself.
PLAIN_TEXT: Final = "text/plain"

# The patterns of this name, and the child runs that they share their work with, which are no runs of a document.
BATCH: Final = "batch"
BATCH_GROUP: Final = "batch_group"
MAP_SEGMENT: Final = "map_segment"

# What a batch may be told, and asked.
CHILD_PARKED_SIGNAL: Final = "child_parked"
NEW_BUDGET_SIGNAL: Final = "new_budget"
PROGRESS_QUERY: Final = "progress"
SET_WINDOW_UPDATE: Final = "set_window"
PAUSE_UPDATE: Final = "pause"
UNPAUSE_UPDATE: Final = "unpause"
# Between a batch and its groups.
GROUP_SHARE_SIGNAL: Final = "share"
GROUP_PROGRESS_SIGNAL: Final = "group_progress"

# One command each: given several names, the server adds only the first one that is missing.
REGISTER_ATTRIBUTES: Final = " && ".join(
    f"temporal operator search-attribute create --name {name} --type Keyword" for name in SEARCH_ATTRIBUTES
)

# An OpenAI-compatible server beside the public providers: the embedded stack's own small model, or one of yours.
LOCAL: Final = "local"
PROVIDERS: Final = ("openai", "anthropic", LOCAL)

# The workflow type of an approval, which is no run of a document either.
APPROVAL: Final = "approval"
NEEDS_APPROVAL: Final = "NeedsApproval"  # why a run waits whose approval is open
NOTICE: Final = "notice"
NO_RUNS: Final = (BATCH, BATCH_GROUP, MAP_SEGMENT, APPROVAL, NOTICE)

# Lower-case ASCII only: ids appear in URLs, file names, search attributes and terminals, so NUL, "../",
# control and bidi characters have no way in.
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_USER: Final = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,126}")
_ID_DIGITS: Final = 20


def models_queue(provider: str) -> str:
    """The task queue whose workers hold `provider`'s key."""
    return f"models-{provider}"


def is_name(value: str) -> bool:
    """Whether `value` may name a job or a tenant."""
    return _NAME.fullmatch(value) is not None


def is_user(value: str) -> bool:
    """Whether `value` may name a person: as names, and dots, "@" and "+" as in an e-mail address."""
    return _USER.fullmatch(value) is not None


def approval_id(run_id: str) -> str:
    """The id of the approval that the run `run_id` waits for."""
    return f"{run_id}-{APPROVAL}"


def workflow_id(*, job: str, tenant: str, document_sha256: str, version: str, nonce: str = "") -> str:
    """The id of the run of `job` over one document.

    Equal work has an equal id, so submitting it again joins the run that exists instead of paying twice. `version`
    covers what changes an answer (prompts, schema, model); `nonce` asks for a run of its own. The document enters
    as its hash only: file names can be personal data.
    """
    digest = hashlib.sha256("\0".join((tenant, job, document_sha256, version, nonce)).encode()).hexdigest()
    return f"{job}-{tenant}-{digest[:_ID_DIGITS]}"
