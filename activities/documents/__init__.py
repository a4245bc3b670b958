"""Documents: from bytes to canonical text, in parser processes that can be killed."""
