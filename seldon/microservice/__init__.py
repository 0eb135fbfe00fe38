"""Seldon's contracts: recommendation, prediction and extension services."""

from seldon.microservice.factory import Microservices

__all__ = ["Microservices"]
