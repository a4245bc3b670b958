"""Batches: many documents from one manifest, read and stored in groups."""
