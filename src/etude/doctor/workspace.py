"""Where `etude submit azureml` would go, and which of the four places says so."""

from __future__ import annotations

import os

from etude.doctor.finding import Finding, Status
from etude.errors import EtudeError
from etude.platforms.azureml.context import resolve_context

__all__ = ["check_workspace"]


def check_workspace() -> list[Finding]:
    """Subscription, resource group, workspace and compute, each with its source; nothing is contacted."""
    try:
        context = resolve_context({}, os.environ)
    except EtudeError as error:
        return [Finding("azure workspace", Status.WARNING, error.message, error.hint)]
    rows = context.rows()
    if not any(found for _, found in rows):
        how = "export AZURE_SUBSCRIPTION_ID, AZURE_RESOURCE_GROUP, AZUREML_WORKSPACE_NAME, AZUREML_COMPUTE"
        absent = "none is known; only needed for `etude submit azureml`"
        return [Finding("azure workspace", Status.OK, absent, how, {"present": False})]
    missing = {problem.message: problem.fix for problem in context.missing()}
    findings = []
    for title, found in rows:
        name = title.lower() if title.lower().startswith("azure") else f"azure {title}"
        if found is not None:
            details = {"present": True, "value": found.value, "source": found.source}
            findings.append(Finding(name, Status.OK, f"{found.value}, from {found.source}", details=details))
        else:
            fix = next((fix for message, fix in missing.items() if title in message), None)
            findings.append(Finding(name, Status.OK, "not known", fix, {"present": False}))
    return findings
