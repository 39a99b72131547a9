"""The endpoint for the operator's own system: members and credentials by HTTP requests under `/api/v1/`.

One table of operations (`central.api.operations`) is what is routed, what is allowed and what is documented.
"""
