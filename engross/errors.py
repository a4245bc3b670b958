"""Everything that can go wrong, by cause.

Class names are part of the contract: they are the `type` of Temporal failures, of `error.type` in JSON and of rows in
the result store. Messages are one line, say what to do, and never carry document or model text: they end up in
histories, logs and terminals.
"""

from typing import ClassVar


class EngrossError(Exception):
    """Base of all named errors. `retryable` says whether trying the same thing again can help."""

    retryable: ClassVar[bool] = False

    @property
    def type(self) -> str:
        """The stable name of this kind of error."""
        return type(self).__name__


# --- the installation -------------------------------------------------------------------------------------------


class ConfigurationError(EngrossError):
    """A setting is missing, misspelt or impossible."""


class JobBroken(ConfigurationError):
    """A job's folder cannot be loaded."""


class UnknownJob(ConfigurationError):
    """No job has that name."""


class PortTaken(ConfigurationError):
    """A port that the embedded stack needs is in use."""


class ServiceUnavailable(EngrossError):
    """Temporal, Redis, the blob store or the result store does not answer."""

    retryable = True


# --- the request ------------------------------------------------------------------------------------------------


class InvalidRequest(EngrossError):
    """The run's input, or a request to a provider, is not acceptable as it stands."""


class RunNotFound(EngrossError):
    """No run, or no batch, has that id."""


class BadManifest(InvalidRequest):
    """A manifest, or a row of it, is not JSON lines with a "uri" each."""


class EmptyBatch(InvalidRequest):
    """A batch without documents."""


# --- the document -----------------------------------------------------------------------------------------------


class DocumentError(EngrossError):
    """The document cannot be read. Subclasses say why."""


class DocumentNotFound(DocumentError):
    """Nothing is at that path or address."""


class SourceRefused(DocumentError):
    """The document's address is not one that this installation reads from."""


class DocumentTooLarge(DocumentError):
    """Over the limit, as it is or once unpacked."""


class EmptyDocument(DocumentError):
    """No bytes, or nothing but white space."""


class EncryptedDocument(DocumentError):
    """Needs a password."""


class CorruptDocument(DocumentError):
    """Damaged, truncated, or not what its name says."""


class UnsupportedFormat(DocumentError):
    """A format that nothing here reads."""


class NeedsOcr(DocumentError):
    """Pages without a text layer: a scan or a photograph."""


class ExtractionTimedOut(DocumentError):
    """The parser was killed at its deadline."""


class ExtractionCrashed(DocumentError):
    """The parser died (out of memory, or a crash in native code). Tried twice, as the machine may be to blame."""

    retryable = True


# --- the provider -----------------------------------------------------------------------------------------------


class ProviderError(EngrossError):
    """A model provider did not give a reply. Subclasses say why.

    `maybe_billed`: the request may have reached a model, so sending it again may pay twice; `vanished` counts such
    calls, this one and those of earlier attempts.
    """

    maybe_billed: bool = False
    vanished: int = 0


class RateLimited(ProviderError):
    """Too many requests or tokens; `retry_after` is the provider's wish in seconds, when it gave one."""

    retryable = True

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ProviderOverloaded(ProviderError):
    """A 5xx or 529."""

    retryable = True


class ProviderTimeout(ProviderError):
    """No reply in time."""

    retryable = True
    maybe_billed = True


class ProviderUnreachable(ProviderError):
    """No connection, or it broke; in the latter case `maybe_billed` is set."""

    retryable = True

    def __init__(self, message: str, *, maybe_billed: bool = False) -> None:
        super().__init__(message)
        self.maybe_billed = maybe_billed


class ProviderGarbled(ProviderError):
    """The provider answered 200 with something that is not its protocol."""

    retryable = True
    maybe_billed = True


class ReplyTooLarge(ProviderError):
    """The reply is far larger than any answer. It would be again, so it is not asked for twice."""

    maybe_billed = True


class AuthenticationFailed(ProviderError):
    """The key is missing, wrong or without the right."""


class QuotaExhausted(ProviderError):
    """The account has no money left."""


class ContextTooLong(ProviderError):
    """The request is larger than the model's window."""


class Postponed(EngrossError):
    """Not tried yet: the workflow waits `seconds` on a timer, which holds no worker, and asks again.

    None is until somebody acts. `cause` names what is behind it, where that has a name of its own.
    """

    def __init__(self, message: str, seconds: float | None, cause: str = "") -> None:
        super().__init__(message)
        self.seconds = seconds
        self.cause = cause


class LimitReached(Postponed):
    """The requests or tokens per minute of a model or tenant are used up."""


class CircuitOpen(Postponed):
    """The provider has failed so often, or refused a key, that only a probe now and then is let through."""


class BudgetExhausted(Postponed):
    """The call could cost more than is left of a budget: of the run, of the tenant or of the day."""


class CallTooDear(EngrossError):
    """The call could cost more than one call may."""


class PriceUnknown(EngrossError):
    """There is a budget or a ceiling, and no price to hold against it."""


class CallInFlight(EngrossError):
    """Another run is making the very same call; its reply will serve both."""

    retryable = True


class BillingUnclear(EngrossError):
    """A call vanished in flight more often than it may be sent again."""

    vanished: int = 0


class ContentRefused(ProviderError):
    """The provider's policy rejected the request before a model saw it."""


# --- the answer -------------------------------------------------------------------------------------------------


class AnswerError(EngrossError):
    """The model replied, but not with an answer that can be used. Subclasses say why."""


class InvalidAnswer(AnswerError):
    """Still breaks the schema or its validators after the declared repairs."""


class TruncatedAnswer(AnswerError):
    """Cut off at the output limit."""


class RefusedAnswer(AnswerError):
    """The model declined."""


class FilteredAnswer(AnswerError):
    """The provider's content filter stopped the reply."""


class EmptyAnswer(AnswerError):
    """A reply with nothing in it."""


class IncompleteAnswer(AnswerError):
    """Parts of the document, or perspectives on it, gave no answer, and the job allows no partial one."""


class UnknownLabel(AnswerError):
    """A classification chose a label that no route has."""


class UnsureLabel(AnswerError):
    """A classification is less sure than the job asks, and the job has no fallback."""


class BelowBar(AnswerError):
    """No attempt scored what the job asks; a person must look at the best one."""


class StepTimedOut(EngrossError):
    """A step did not finish within its time limits."""


# --- people -----------------------------------------------------------------------------------------------------


class DecisionRefused(EngrossError):
    """What somebody did to an approval does not count. Subclasses say why."""


class StaleDecision(DecisionRefused):
    """It was made on something other than what is shown now."""


class LateDecision(DecisionRefused):
    """The approval is closed; the message says what became of it."""


class DuplicateDecision(DecisionRefused):
    """This person has approved already; somebody else must."""


class SelfDecision(DecisionRefused):
    """Who submitted a document can't decide on it."""


class NotAuthorised(DecisionRefused):
    """This person has no such right for this tenant, or isn't asked."""


class UnsignedDecision(DecisionRefused):
    """The signature is missing or wrong, so nobody knows who decided."""


class NotAcceptable(DecisionRefused):
    """It can't be counted as it stands: no reason is given, no other attempt is possible, the value is wrong."""


class NotSignedIn(EngrossError):
    """Nobody is signed in, or with a key or password that is wrong."""


class TooManyRequests(EngrossError):
    """A user, or somebody who tries to sign in, asks too often; `seconds` is when to come back."""

    retryable = True

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class Rejected(EngrossError):
    """A person rejected the answer; the note of the approval says why."""


class ApprovalExpired(EngrossError):
    """Nobody decided in time."""


class TooUnsure(EngrossError):
    """The answer is less sure of itself than the job accepts at all."""


class AuditBroken(EngrossError):
    """The audit log has been edited: an entry is changed, missing or out of order."""


class NoticeFailed(EngrossError):
    """A notice could not be delivered; tried again by Temporal."""

    retryable = True


class NoticeRefused(EngrossError):
    """The receiver of a notice says that it will never take it."""


class KeyUnavailable(EngrossError):
    """What is encrypted with that key can't be read or written here: ENGROSS_ENCRYPTION_KEYS lacks it."""

    retryable = True


class TenantErased(EngrossError):
    """The tenant's keys were destroyed; nothing of it can be read or written any more."""
