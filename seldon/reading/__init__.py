"""Reading usage events and catalogs from files, with a report of what was wrong where."""

from seldon.reading.catalog import Catalog, read_catalog
from seldon.reading.files import read_interactions
from seldon.reading.report import ParsingError, ParsingReport, Sample

__all__ = [
    "Catalog",
    "ParsingError",
    "ParsingReport",
    "Sample",
    "read_catalog",
    "read_interactions",
]
