"""The search attributes of runs, typed."""

from typing import Final

from temporalio.common import SearchAttributeKey

from engross.names import JOB_ATTRIBUTE, OUTCOME_ATTRIBUTE, TENANT_ATTRIBUTE

JOB: Final = SearchAttributeKey.for_keyword(JOB_ATTRIBUTE)
TENANT: Final = SearchAttributeKey.for_keyword(TENANT_ATTRIBUTE)
OUTCOME: Final = SearchAttributeKey.for_keyword(OUTCOME_ATTRIBUTE)
