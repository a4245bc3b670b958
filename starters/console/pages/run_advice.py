"""What to do when a run ended with an error, by the kind of that."""

from typing import Final

from engross import errors

# The first that fits counts, so what is special stands before what is general.
_ADVICE: Final[tuple[tuple[type[errors.EngrossError], str], ...]] = (
    (errors.NeedsOcr, "The pages are pictures. Submit a version with text."),
    (errors.EncryptedDocument, "Submit a copy that needs no password."),
    (errors.UnsupportedFormat, "Save the document as PDF, DOCX or text, and submit that."),
    (errors.DocumentTooLarge, "Split the document, or let an operator raise the limit."),
    (errors.DocumentError, "Look at the document: repair or replace it, and submit it again."),
    (errors.ContentRefused, "The provider will refuse it again. Use another model for this job."),
    (errors.ContextTooLong, "Use a job that reads long documents in parts, or a model with a larger window."),
    (errors.ProviderError, "Submit the document again: a run that failed is run anew."),
    (errors.AnswerError, "Read the document yourself, or submit it again; if that happens often, look at the prompt."),
    (errors.CallTooDear, "Let an operator raise the ceiling for one call, or use a cheaper model."),
    (errors.PriceUnknown, "Let an operator set the price of the model."),
    (errors.BillingUnclear, "Look at the provider's bill, then submit the document again."),
    (errors.StepTimedOut, "Submit the document again; if that happens again, let an operator look at the worker."),
    (errors.Rejected, "The approval says why. Submit a corrected document, or ask who rejected it."),
    (errors.ApprovalExpired, "Submit the document again, so that people are asked again."),
    (errors.TooUnsure, "Read the document yourself: the model is not sure enough of its answer."),
    (errors.ConfigurationError, "Let an operator correct the settings or the job, then submit the document again."),
    (errors.InvalidRequest, "Correct what the message names, and submit the document again."),
)
_OTHERS: Final = {
    "Cancelled": "Submit the document again if it is needed after all.",
    "Terminated": "An operator ended it. Submit the document again if it is needed.",
    "TimedOut": "Submit the document again; if that happens again, let an operator look at the worker.",
}
_UNKNOWN: Final = "Let an operator look at it in Temporal's Web UI and in the worker's log."


def advice(kind: str) -> str:
    """A sentence for people."""
    known = getattr(errors, kind, None)
    if isinstance(known, type) and issubclass(known, errors.EngrossError):
        return next((text for base, text in _ADVICE if issubclass(known, base)), _UNKNOWN)
    return _OTHERS.get(kind, _UNKNOWN)
