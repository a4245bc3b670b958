"""What crosses Temporal: small, frozen values. Fields are added with defaults, never renamed.

Text, documents and answers cross as references (`BlobRef` and its kin): a content hash and where to find it.
"""

from engross.contracts.money import MOST_DOLLARS, BudgetRaise, BudgetState, Dollars, RunBudget
from engross.contracts.references import DEFAULT_TENANT, BlobRef, Contract, DocumentSource, TextRef
from engross.contracts.replies import AskRequest, Problem, RepairRequest, Reply, ReplySource, ReplyStatus, Usage
from engross.contracts.results import ErrorInfo, Outcome, RunResult, Spent, Stored, StoreRequest
from engross.contracts.runs import ModelRef, Plan, Prepared, RunRequest, StepPlan

__all__ = [
    "DEFAULT_TENANT",
    "MOST_DOLLARS",
    "AskRequest",
    "BlobRef",
    "BudgetRaise",
    "BudgetState",
    "Contract",
    "DocumentSource",
    "Dollars",
    "ErrorInfo",
    "ModelRef",
    "Outcome",
    "Plan",
    "Prepared",
    "Problem",
    "RepairRequest",
    "Reply",
    "ReplySource",
    "ReplyStatus",
    "RunBudget",
    "RunRequest",
    "RunResult",
    "Spent",
    "StepPlan",
    "StoreRequest",
    "Stored",
    "TextRef",
    "Usage",
]
