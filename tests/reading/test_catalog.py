"""Catalog files by the Product Recommendations contract."""

import pytest

from seldon.errors import InvalidData
from seldon.reading import read_catalog


@pytest.fixture
def read(tmp_path):
    def read(*lines):
        (tmp_path / "catalog.csv").write_text("\n".join(lines), encoding="utf-8")
        return read_catalog(tmp_path / "catalog.csv", relative_to=tmp_path)

    return read


def summary(report):
    kinds = [(kind.error, kind.count, kind.samples[0].line) for kind in report.errors]
    return (report.total_lines, report.successful_lines, *kinds)


def test_h15_features(read):
    catalog, report = read(
        "AAA04294,Office Language Pack Online DwnLd,Office, sample text, softwaretype=productivity,"
        " compatibility=Windows",
        "BAB04303,Minecraft DwnLd,Games, softwaretype=gaming,, compatibility=iOS, agegroup=all",
        "C9F00168,Kiruna Flip Cover,Accessories, compatibility=lumia,, hardwaretype=mobile",
    )
    assert summary(report) == (3, 3)
    assert catalog.feature_names == ("softwaretype", "compatibility", "agegroup", "hardwaretype")
    assert dict(zip(catalog.items.ids.tolist(), catalog.features, strict=True)) == {
        "AAA04294": {"softwaretype": "productivity", "compatibility": "windows"},
        "BAB04303": {"compatibility": "ios", "agegroup": "all"},
        "C9F00168": {"hardwaretype": "mobile"},
    }
    assert catalog.misplaced_features == 2


def test_h16_faults(read):
    catalog, report = read(
        "a1,Name,Cat",
        "a1,Name2,Cat",
        "a2,,Cat",
        "a3,N",
        "a4,N,C,D,color=red,color=blue,size=",
        "a5,N,C,D,color",
        "a6,N,C,D,=red",
        "a7,N,C,D,x=1=2",
        'a8,"A ""quoted"", name",C,D,Color=Red',
    )
    assert summary(report) == (
        9, 4, ("MissingFields", 1, 3), ("MalformedCatalogItemFeature", 3, 6),
        ("DuplicateItemId", 1, 2),
    )  # fmt: skip
    assert dict(zip(catalog.items.ids.tolist(), catalog.features, strict=True)) == {
        "a1": {}, "a3": {}, "a4": {"color": "red;blue", "size": ""}, "a8": {"color": "red"},
    }  # fmt: skip


def test_h17_records_over_several_lines(read):
    _, report = read(
        "item_0,item_0,category,description,feature_0=value_7",
        "item_1,item_1,category,description,feature_2value_5",
        ",",
        "",
        'item_2,item_2,category,description,feature_0=value_7,"\t""  =======',
        '"',
        "item_0,item_7,category,description",
        "item_9,item_9,category,description,feature_0=value_7,,,,,,,,",
    )
    assert summary(report) == (
        6, 2, ("MalformedCatalogItemFeature", 2, 2), ("MissingFields", 1, 3),
        ("DuplicateItemId", 1, 7),
    )  # fmt: skip
    assert [sample.line for sample in report.errors[0].samples] == [2, 6]


def test_an_open_quote_takes_the_rest_of_the_file(read):
    catalog, report = read("a1,Name", 'a2,"Name', "a3,Name")
    assert summary(report) == (2, 1, ("MalformedLine", 1, 2))
    assert catalog.items.ids.tolist() == ["a1"]


def test_no_such_file(tmp_path):
    with pytest.raises(InvalidData, match="no such file"):
        read_catalog(tmp_path / "none.csv")
