"""The REST API: documents in, runs and approvals out, decisions by people who are known. See `routes`."""
