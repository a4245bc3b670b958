"""The REST API: documents in, runs and approvals out, decisions by people who are known. `sections` says what it has."""
