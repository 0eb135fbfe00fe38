import pytest

from seldon.errors import InvalidSetting
from seldon.slirec.hyperparameters import VARIANTS, Hyperparameters, read_hyperparameters


def test_defaults_are_the_mended_variant():
    assert Hyperparameters.of() == Hyperparameters() == Hyperparameters.of({"variant": "mended"})


def test_a_variant_sets_what_follows_it_and_each_may_be_given():
    published = Hyperparameters.of({"variant": "published"})
    for name, value in VARIANTS["published"].items():
        assert getattr(published, name) == value != VARIANTS["mended"][name]
    assert Hyperparameters.of({"variant": "published", "long_term_mask": True}).long_term_mask


@pytest.mark.parametrize("variant", VARIANTS)
def test_they_survive_json(variant):
    hyperparameters = Hyperparameters.of({"variant": variant, "layer_sizes": [7, 3], "epochs": 2})
    assert Hyperparameters.of(hyperparameters.to_json()) == hyperparameters


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"learning_rat": 1}, "did you mean 'learning_rate'"),
        ({"early_stop": 3}, "did you mean 'EARLY_STOP'"),
        ({"maxlen": 3}, "'maxlen' is not a hyperparameter"),
        ({"variant": "fixed"}, "variant='fixed' is not one of published, mended"),
        ({"epochs": 0}, "epochs=0 is not a whole number from 1"),
        ({"epochs": True}, "epochs=True"),
        ({"epochs": 2.5}, "epochs=2.5"),
        ({"dropout": 1}, "dropout=1 is not a number from 0 to below 1"),
        ({"dropout": [0.3, 0.3]}, "dropout="),
        ({"learning_rate": "fast"}, "learning_rate='fast' is not a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
        ({"layer_sizes": []}, "layer_sizes="),
        ({"layer_sizes": [80, 0]}, "layer_sizes="),
        ({"enable_BN": 1}, "enable_BN=1 is not true or false"),
        ({"hidden_size": 41}, "hidden_size=41"),
    ],
)
def test_unusable_values_are_named(values, says):
    with pytest.raises(InvalidSetting, match=says):
        Hyperparameters.of(values)


def test_a_yaml_file_is_read_and_its_faults_name_it(tmp_path):
    path = tmp_path / "slirec.yaml"
    path.write_text("variant: published\nepochs: 3\nlearning_rate: 1e-2  # larger\n")
    assert read_hyperparameters(path).epochs == 3
    assert read_hyperparameters(path).learning_rate == 0.01
    path.write_text("")
    assert read_hyperparameters(path) == Hyperparameters()
    for text, says in [
        ("epoch: 3", "slirec.yaml: 'epoch' is not .* 'epochs'"),
        ("- 3", "name: value"),
        ("a: [", "not YAML"),
        ("!!python/object/apply:os.system ['true']", "not YAML"),
    ]:
        path.write_text(text)
        with pytest.raises(InvalidSetting, match=says):
            read_hyperparameters(path)


def test_what_is_given_instead_of_the_file_s_goes_before_the_variant_s_settings(tmp_path):
    path = tmp_path / "slirec.yaml"
    path.write_text("variant: mended\nhidden_size: 40\ndropout: 0.2\nepochs: 7\n")
    found = read_hyperparameters(path, {"variant": "published", "epochs": 2})
    expected = {"variant": "published", "hidden_size": 40, "dropout": 0.2, "epochs": 2}
    assert found == Hyperparameters.of(expected)
    assert not found.long_term_mask
