"""The item-to-item rankings published for the demo data; cases J5 to J8 of the acceptance list."""

ITEM_RANKINGS = {
    "J5": (
        "DQF-00248",
        None,
        "daf-00349 0.2057823129, daf-00288 0.1773648649, daf-00448 0.1145374449, "
        "daf-00416 0.1077898551, daf-00419 0.0856882407",
    ),
    "J6": (
        "DAF-00396",
        None,
        "daf-00420 0.0693069307, daf-00450 0.0487804878, daf-00399 0.0476190476, "
        "daf-00280 0.0428571429, daf-00288 0.0396600567, daf-00451 0.0375, "
        "daf-00351 0.0352112676, daf-00449 0.0329670330, daf-00448 0.0303030303, "
        "daf-00491 0.0303030303",
    ),
    "J7": (
        "DAF-00396",
        "Cooccurrence",
        "dqf-00248 28, daf-00288 14, daf-00420 7, daf-00448 7, daf-00450 6",
    ),
    "J8": (
        "DAF-00396",
        "Lift",
        "daf-00399 0.0030991736, daf-00420 0.0024857955, daf-00280 0.0023510972",
    ),
}
"""Case to seed item, similarity function (None is the default), best items with their scores."""
