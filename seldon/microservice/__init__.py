"""Seldon's contracts: recommendation, prediction and extension services."""
