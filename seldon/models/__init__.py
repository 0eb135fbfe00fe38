"""`python -m seldon.models`: train models and ask them, in a folder or over HTTP."""
