"""Encryption at rest: keys of tenants wrapped by master keys, and what they seal: payloads, blobs, kept replies."""
