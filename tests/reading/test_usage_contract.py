"""Usage files by the Product Recommendations contract: acceptance cases H."""

import pytest

from seldon.interactions import Vocabulary
from seldon.reading import read_interactions

T = "2017-04-20T18:00:00"
SECONDS = 1492711200.0
NOW = 1.5e9
GOOD = f"u1,i1,{T}"


@pytest.fixture
def read(tmp_path):
    def read(*lines, name="usage.csv", **options):
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
        return read_interactions(
            tmp_path / name, format="usage", now=NOW, relative_to=tmp_path, **options
        )

    return read


def summary(report):
    kinds = [(kind.error, kind.count, kind.samples[0].line) for kind in report.errors]
    return (report.total_lines, report.successful_lines, *kinds)


CASES = {
    "H1 header": (["userId,itemId,time", GOOD], (2, 1, ("BadTimestampFormat", 1, 1))),
    "H3 malformed": ([f'u1,"i1"x,{T}', GOOD], (2, 1, ("MalformedLine", 1, 1))),
    "H4 unclosed quote": ([f'u1,"i1,{T}', GOOD, GOOD], (1, 0, ("MalformedLine", 1, 1))),
    "H5 blank lines": ([GOOD, "", "   ", GOOD], (2, 2)),
    "H6 empty time": (["u1,i1,", GOOD], (2, 1, ("BadTimestampFormat", 1, 1))),
    "H7 user ids": (
        [f"a@b.c,i1,{T}", f"ünï-1_x,i1,{T}"],
        (2, 1, ("IllegalCharactersInUserId", 1, 1)),
    ),
    "H8 lengths": (
        [
            f"{'u' * 256},i1,{T}",
            f"u1,{'i' * 451},{T}",
            f"{'u' * 255},{'i' * 450},{T}",
            GOOD,
        ],
        (4, 2, ("UserIdTooLong", 1, 1), ("ItemIdTooLong", 1, 2)),
    ),
    "H10 limit": (["u1,i1,no"] * 100 + [GOOD], (101, 1, ("BadTimestampFormat", 100, 1))),
    "H11 limit": (["u1,i1,no"] * 101 + [GOOD], (101, 0, ("BadTimestampFormat", 101, 1))),
    "H12 last line bad": ([GOOD, "u2,i2,xx"], (2, 1, ("BadTimestampFormat", 1, 2))),
    "H13 semicolons": ([f"u1;i1;{T}", GOOD], (2, 1, ("MissingFields", 1, 1))),
    "lines of commas": ([",", ",,", "u1,", ",i1", GOOD], (5, 1, ("MissingFields", 4, 1))),
    "two-line record": (
        [f'u1,"i\n1",{T}', f'"bad@\nuser",i1,{T}', "u1,i1,no"],
        (3, 1, ("IllegalCharactersInUserId", 1, 4), ("BadTimestampFormat", 1, 5)),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_report(read, case):
    lines, expected = CASES[case]
    _, report = read(*lines)
    assert summary(report) == expected
    assert report.complete == (case != "H11 limit")


def test_h2_quotes_and_blanks(read):
    events, report = read(f'"u1","I1",{T},Click', "u2 , i2 , 2017-04-20T18:00:00 ,,5.2", "u3,i3")
    assert summary(report) == (3, 3)
    assert events.items.ids.tolist() == ["I1", "i2", "i3"]
    assert events.users.ids.tolist() == ["u1", "u2", "u3"]
    assert events.time.tolist() == [SECONDS, SECONDS, NOW]


def test_h9_a_catalog_is_known(read):
    _, report = read(
        f"u1,i9,{T}", f"bad@user,i9,{T}", "u1,i9,notatime", GOOD, known_items=Vocabulary(["i1"])
    )
    assert summary(report) == (4, 1, ("BadTimestampFormat", 1, 3), ("UnknownItemId", 2, 1))
    assert [kind.warning for kind in report.errors] == [False, True]


def test_h14_types_and_weights(read):
    events, report = read(
        "00037FFEA61FCA16,288186200,2015-08-04T11:02:52,Purchase",
        "0003BFFDD4C2148C,297833400,2015-08-04T11:02:50,,5.2 ",
        "0003BFFDD4C2118D,297833300,2015-08-04T11:02:40 ",
        "00030000D16C4237,297833300,2015-08-04T11:02:37,Click,0.7",
        "0003BFFDD4C20B63,297833400,2015-08-04T11:02:12,RemoveShopCart",
        "00037FFEC8567FB8,297833400,2015-08-04T11:02:04,Custom, ",
    )
    assert summary(report) == (6, 6)
    assert events.weight.tolist() == pytest.approx([4, 5.2, 1, 0.7, -1, 1])


def test_h20_a_folder_shares_counts_and_limit(tmp_path):
    folder = tmp_path / "usage"
    folder.mkdir()
    (folder / "b.csv").write_text("u1,i1,no\n" * 60)
    (folder / "a.csv").write_text(f"{GOOD}\n" + "u1,i1\n,i1\n" + "u1,i1,no\n" * 40)
    (folder / "c.csv").write_text(GOOD)
    (folder / ".hidden").write_text("not,a,time")
    (folder / "nested").mkdir()
    _, report = read_interactions(folder, format="usage", relative_to=tmp_path)
    assert not report.complete
    assert summary(report) == (
        103, 2, ("MissingFields", 1, 3), ("BadTimestampFormat", 100, 4),
    )  # fmt: skip
    assert {kind.samples[0].file for kind in report.errors} == {"usage/a.csv"}


def test_several_samples_are_kept(read):
    _, report = read(*["u1,i1,no"] * 9)
    samples = report.errors[0].samples
    assert [sample.line for sample in samples] == [1, 2, 3, 4, 5]
    assert samples[0].text == "u1,i1,no" and samples[0].file == "usage.csv"


def test_ids_keep_their_case_and_lose_the_blanks_around(read):
    events, _ = read(f" u , Item 1+[x] ,{T}", f"U,item 1+[x],{T}")
    assert events.items.ids.tolist() == ["Item 1+[x]", "item 1+[x]"]
    assert events.users.ids.tolist() == ["U", "u"]
