"""What people decide on one approval: which acts count, what they come to, and what is kept of them. No Temporal here.

Acts are refused with `ApplicationError`s whose types are class names of `engross.errors`.
"""

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any, Final

from temporalio.exceptions import ApplicationError

from engross.contracts import (
    Act,
    ActChecked,
    ActKind,
    ApprovalEvent,
    ApprovalRequest,
    ApprovalState,
    BlobRef,
    Consent,
    ErrorInfo,
    EventKind,
    Receipt,
    Refusal,
    Verdict,
)
from engross.names import is_user
from workflows.failures import named
from workflows.refusals import MOST_TIME, check_act, escalates_at_the_end

_REFUSALS_KEPT: Final = 20
_EVENTS: Final = {
    ActKind.APPROVE: EventKind.APPROVED,
    ActKind.REJECT: EventKind.REJECTED,
    ActKind.FEEDBACK: EventKind.FEEDBACK,
    ActKind.CORRECT: EventKind.CORRECTED,
    ActKind.CLAIM: EventKind.CLAIMED,
    ActKind.RELEASE: EventKind.RELEASED,
    ActKind.DELEGATE: EventKind.DELEGATED,
    ActKind.EXTEND: EventKind.EXTENDED,
}


def shown_of(approval_id: str, request: ApprovalRequest, answer: BlobRef | None) -> str:
    """The SHA-256 of exactly what is shown: which document and text, which answer, and why people are asked."""
    said = {
        "approval": approval_id,
        "round": request.round,
        "job": request.job,
        "tenant": request.tenant,
        "step": request.step,
        "submitter": request.submitter,
        "document": request.document.sha256 if request.document else None,
        "text": request.text.sha256 if request.text else None,
        "answer": answer.sha256 if answer else None,
        "draft": request.draft.sha256 if request.draft else None,
        "error": request.error.model_dump() if request.error else None,
        "flags": request.flags,
        "risk": request.risk,
        "reasons": request.reasons,
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


class Decisions:
    """The state of one approval, and the only place that changes it. `news` are the events not yet kept elsewhere."""

    def __init__(self, approval_id: str, request: ApprovalRequest, now: datetime) -> None:
        self.approval_id = approval_id
        self.request = request
        self.news: list[ApprovalEvent] = []
        if request.state is not None:
            self.state = request.state
            return
        policy = request.policy
        escalates = policy.escalate_to and policy.escalate_hours is not None
        self.state = ApprovalState(
            shown=shown_of(approval_id, request, request.answer),
            answer=request.answer,
            asked=(policy.group,),
            opened_at=now,
            due_at=now + timedelta(hours=policy.deadline_hours),
            remind_at=now + timedelta(hours=policy.remind_hours),
            escalate_at=now + timedelta(hours=policy.escalate_hours or 0) if escalates else None,
        )
        self.note(EventKind.OPENED, now, detail="; ".join(request.reasons), after=_sha(request.answer))

    @property
    def is_open(self) -> bool:
        return self.state.verdict is Verdict.OPEN

    # --- acts -------------------------------------------------------------------------------------------------------

    def repeated(self, act: Act) -> Receipt | None:
        """The receipt of the act that counted under this key. Raises when the key stood for something else."""
        for receipt in self.state.receipts:
            if receipt.key == key_of(act):
                if (receipt.kind, receipt.by) != (act.kind, act.by):
                    raise named("DuplicateDecision", "this key has been used for another act; make a new one")
                return receipt.model_copy(update={"is_repeat": True})
        for each in self.request.rounds:
            if each.key and (each.key, each.by) == (key_of(act), act.by):
                told = self._receipt(act.model_copy(update={"kind": ActKind.FEEDBACK}))
                return told.model_copy(update={"verdict": Verdict.AGAIN, "shown": each.shown, "is_repeat": True})
        return None

    def check(self, act: Act, now: datetime) -> None:
        """Raises the refusal of an act that can't count as things stand; who may act is checked elsewhere."""
        if act.unusable:
            raise named("InvalidRequest", f"{act.unusable}; see `engross approvals approve --print` for an example")
        if not is_user(act.by):
            raise named("InvalidRequest", '"by" must name the person who decides')
        if act.approval_id not in ("", self.approval_id):
            raise named("InvalidRequest", f"this was meant for {act.approval_id}")
        if self.repeated(act):
            return
        check_act(act, self.request, self.state, now)

    def count(self, act: Act, checked: ActChecked, now: datetime) -> Receipt:
        """Counts an act whose rights are checked, once more against what has happened in the meantime."""
        self.check(act, now)
        repeat = self.repeated(act)
        if repeat:
            return repeat
        if checked.refusal:
            raise named(checked.refusal.type, checked.refusal.message)
        before = _sha(self.state.answer)
        self._apply(act, checked, now)
        self._change(claimed_by="" if act.kind.decides else self.state.claimed_by)
        self.note(
            _EVENTS[act.kind],
            now,
            act=act,
            before=before,
            after=_sha(self.state.answer),
            detail=_detail(act, checked),
            is_signed=checked.is_signed,
        )
        receipt = self._receipt(act)
        self._change(receipts=(*self.state.receipts, receipt))
        return receipt

    def _apply(self, act: Act, checked: ActChecked, now: datetime) -> None:
        match act.kind:
            case ActKind.APPROVE:
                self._consent(act, checked, now)
            case ActKind.CORRECT:
                self._correct(act, checked, now)
            case ActKind.REJECT:
                self._end(Verdict.REJECTED, now, (act.by,), note=checked.note or act.note, reason=act.reason)
            case ActKind.FEEDBACK:
                self._end(Verdict.AGAIN, now, (act.by,), note=checked.note or act.note, reason=act.reason)
            case ActKind.CLAIM:
                self._change(claimed_by=act.by, claimed_at=now)
            case ActKind.RELEASE:
                self._change(claimed_by="", claimed_at=None)
            case ActKind.DELEGATE:
                others = tuple(each for each in self.state.asked if each not in (act.by, act.to))
                self._change(asked=(*others, act.to), claimed_by="")
            case ActKind.EXTEND:
                due = (self.state.due_at or now) + timedelta(hours=act.hours)
                self._change(due_at=min(due, (self.state.opened_at or now) + MOST_TIME))

    def _consent(self, act: Act, checked: ActChecked, now: datetime) -> None:
        risk, given = self.request.risk, self.state.given
        needed = max(1, risk.approvers)
        if len(given) >= needed and not checked.is_senior:
            raise named("NotAuthorised", "enough people have approved; what is missing is a senior")
        given += (Consent(by=act.by, key=key_of(act), at=now, is_senior=checked.is_senior),)
        self._change(given=given)
        has_senior = any(consent.is_senior for consent in given)
        if len(given) >= needed and (has_senior or not risk.needs_senior):
            verdict = Verdict.CORRECTED if self.state.is_corrected else Verdict.APPROVED
            self._end(verdict, now, tuple(consent.by for consent in given))

    def _correct(self, act: Act, checked: ActChecked, now: datetime) -> None:
        """The corrected answer takes the place of the proposed one: who approved that, approved something else."""
        if checked.value is None:
            raise named("NotAcceptable", "the corrected answer was not checked")
        changed = tuple(dict.fromkeys((*self.state.changed, *checked.changed)))
        self._change(
            answer=checked.value,
            shown=shown_of(self.approval_id, self.request, checked.value),
            is_corrected=checked.value.sha256 != _sha(self.request.answer),
            changed=changed,
            given=(),
        )
        self._consent(act, checked, now)

    # --- time -------------------------------------------------------------------------------------------------------

    def next_at(self) -> tuple[datetime, str]:
        """When something is due next, and what."""
        state = self.state
        times = ((state.due_at, "time is up"), (state.escalate_at, "escalation"), (state.remind_at, "reminder"))
        return min((at, what) for at, what in times if at is not None)

    def on_time(self, now: datetime) -> list[EventKind]:
        """Does what is due by now, and says what that was."""
        policy, state = self.request.policy, self.state
        if not self.is_open:
            return []
        if state.due_at and now >= state.due_at:
            if escalates_at_the_end(self.request, state):
                return [self._escalate(now)]
            self._end(Verdict.EXPIRED, now, state.asked)
            self.note(EventKind.EXPIRED, now, detail=f"asked were {', '.join(state.asked)}")
            return [EventKind.EXPIRED]
        done = []
        if state.escalate_at and now >= state.escalate_at:
            done.append(self._escalate(now))
        if state.remind_at and now >= state.remind_at:
            self._change(remind_at=now + timedelta(hours=policy.remind_hours))
            self.note(EventKind.REMINDED, now, detail=", ".join(self.state.asked))
            done.append(EventKind.REMINDED)
        return done

    def _escalate(self, now: datetime) -> EventKind:
        policy = self.request.policy
        own = now + timedelta(hours=policy.deadline_hours)
        asked = tuple(dict.fromkeys((*self.state.asked, policy.escalate_to)))
        due = max(self.state.due_at or own, own)
        self._change(asked=asked, is_escalated=True, escalate_at=None, due_at=due)
        self.note(EventKind.ESCALATED, now, detail=f"to {policy.escalate_to}")
        return EventKind.ESCALATED

    def withdraw(self, now: datetime) -> None:
        """Nobody waits for this any more."""
        if self.is_open:
            self._end(Verdict.WITHDRAWN, now, ())
            self.note(EventKind.WITHDRAWN, now)

    # --- what is kept -----------------------------------------------------------------------------------------------

    def refuse(self, act: Act, error: ApplicationError, now: datetime, *, by_signal: bool) -> None:
        """Keeps that an act did not count: in the audit, and where nobody is told, in the state as well."""
        info = ErrorInfo(type=error.type or "Unexpected", message=error.message)
        if by_signal:
            refusal = Refusal(by=act.by if is_user(act.by) else "", kind=act.kind, error=info, at=now)
            self._change(refusals=(*self.state.refusals, refusal)[-_REFUSALS_KEPT:])
        self.note(EventKind.REFUSED, now, act=act, detail=f"{act.kind.value}: {info.type}")

    def note(self, kind: EventKind, now: datetime, *, act: Act | None = None, **more: Any) -> None:
        """An event for the audit."""
        self._change(revision=self.state.revision + 1)
        # What is refused may come from anybody, and name nobody.
        by = act.by if act and is_user(act.by) else ""
        who: dict[str, Any] = {"by": by, "source": act.source, "address": act.address} if act else {}
        shown = act.shown if act and act.kind.decides else self.state.shown
        self.news.append(ApprovalEvent(number=self.state.revision, kind=kind, at=now, shown=shown, **who, **more))

    def _end(self, verdict: Verdict, now: datetime, by: tuple[str, ...], **more: Any) -> None:
        self._change(verdict=verdict, decided_by=by, decided_at=now, **more)

    def _receipt(self, act: Act) -> Receipt:
        state = self.state
        return Receipt(
            approval_id=self.approval_id,
            key=key_of(act),
            kind=act.kind,
            by=act.by,
            verdict=state.verdict,
            given=len(state.given),
            needed=max(1, self.request.risk.approvers),
            shown=state.shown,
        )

    def _change(self, **values: Any) -> None:
        self.state = self.state.model_copy(update=values)


def key_of(act: Act) -> str:
    """The idempotency key; of an act typed by hand without one, what makes it this act."""
    return act.key or f"{act.kind.value}:{act.by}:{act.shown}:{act.to}:{act.hours:g}"


def _sha(answer: BlobRef | None) -> str:
    return answer.sha256 if answer else ""


def _detail(act: Act, checked: ActChecked) -> str:
    match act.kind:
        case ActKind.CORRECT:
            return f"changed {', '.join(checked.changed)}"
        case ActKind.DELEGATE:
            return f"to {act.to}"
        case ActKind.EXTEND:
            return f"by {act.hours:g} hours"
        case _:
            return ""
