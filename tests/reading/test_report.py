"""Reports of several files as one."""

from seldon.reading import ParsingError, ParsingReport, Sample
from seldon.reading.report import merged


def test_reports_of_files_are_joined():
    def report(line, count, complete=True):
        error = ParsingError("BadTimestampFormat", count, (Sample(f"f{line}", line),))
        return ParsingReport((error,), 100, 100 - count, 1.0, complete)

    both = merged([report(3, 40), report(7, 50)], 100)
    assert both.errors[0].count == 90
    assert [sample.line for sample in both.errors[0].samples] == [3, 7]
    assert (both.total_lines, both.successful_lines, both.usable) == (200, 110, True)
    assert not merged([report(3, 60), report(7, 50)], 100).complete
    assert merged([report(3, 60), report(7, 50)], None).complete
    assert not merged([report(3, 1, complete=False), report(7, 1)], None).complete
