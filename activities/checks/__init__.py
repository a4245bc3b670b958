"""Does an answer hold? Strict JSON, the job's schema, the job's validators; and what code alone can mend."""
