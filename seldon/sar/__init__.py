"""SAR: simple, exact, explainable item similarity from usage events."""
