"""Approvals: what risk an answer is, who may decide on it, and what is kept of their decisions."""
