"""The config: every mistake is one line with the key's path and what is allowed; the runs that it asks for."""

import copy

import pytest
import yaml

from nucleobert.config import Config
from nucleobert.errors import InputError
from nucleobert.sources import load_sources


@pytest.fixture(scope="module")
def base(root):
    return yaml.safe_load((root / "config.yaml").read_text())


@pytest.fixture
def check(root, base):
    """Return a function that checks the default config after a change to it."""

    def checked(change=lambda values: None):
        values = copy.deepcopy(base)
        change(values)
        sources = load_sources(root / "resources" / "sources.tsv")
        return Config(values, root / "schemas" / "config.schema.yaml", set(sources))

    return checked


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(sed=1), "config: sed: unknown key; did you mean 'seed'?"),
        (
            lambda c: c["systems"]["m6abert"].update(k=[3, 7]),
            "config: systems.m6abert.k.1: 7 is not possible; allowed: 3, 4, 5, 6",
        ),
        (
            lambda c: c["tasks"]["m6a_degradation"]["dataset"].update(postive="x"),
            "config: tasks.m6a_degradation.dataset.postive: unknown key; did you mean 'positive'?",
        ),
        (
            lambda c: c["systems"]["m6abert"].update(arms=["prio"]),
            "config: systems.m6abert.arms: 'prio' is not declared; did you mean 'prior'?",
        ),
        (lambda c: c["pretraining"].pop("epochs"), "config: pretraining.epochs: the key is missing; add it"),
        (
            lambda c: c["pretraining"].update(mask_share=1.5),
            "config: pretraining.mask_share: 1.5 is greater than the maximum of 1; allowed: type number",
        ),
        (
            lambda c: c["systems"]["m6abert"]["reference"].update(k=4),
            "config: systems.m6abert.reference: 'bert_pretrained_k4' is no variant; allowed: bert_pretrained_k3",
        ),
        (
            lambda c: c["corpora"]["m6a"].update(sources=["polya"]),
            "config: corpora.m6a.sources: 'polya' is not declared",
        ),
        (
            lambda c: c["systems"]["m6abert"].pop("corpus"),
            "config: systems.m6abert: arm 'bert_pretrained' starts from a corpus; name the system's corpus",
        ),
    ],
)
def test_a_mistake_is_one_line_with_place_and_remedy(check, change, message):
    with pytest.raises(InputError) as caught:
        check(change)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_null_removes_a_default(check):
    config = check(lambda c: c["tasks"]["m6a_degradation"]["splits"].update(published=None))
    assert config.splits_used() == [("m6a_degradation", "grouped")]


def test_the_runs_of_the_default_config(check):
    config = check()
    names = [variant.name for variant in config.variants("m6abert")]
    assert names[:4] == ["prior", "lookup", "composition", "kmer_logistic"]
    assert names[4:] == ["cnn", "bert_random_k3", "bert_random_k6", "bert_pretrained_k3", "bert_pretrained_k6"]
    seeds = {name: list(config.seeds("m6abert", v)) for name, v in config.all_variants.items()}
    assert seeds["kmer_logistic"] == [1]
    assert seeds["cnn"] == seeds["bert_random_k3"] == [1, 2, 3]
    assert config.pretrained_used() == [("m6a", 3), ("m6a", 6)]
    assert config.folds("m6a_degradation", "published") == range(1)
    assert config.folds("m6a_degradation", "grouped") == range(5)
    assert config.explained() == [("m6a_degradation", "grouped", config.reference("m6abert"))]


def test_only_what_is_used_is_fetched(check):
    assert "deg_positive" in check().sources_used()
    without = check(lambda c: c["systems"]["m6abert"].update(arms=["prior"], reference={"arm": "prior"}))
    assert without.sources_used() == ["deg_positive", "deg_negative"]
    assert without.explained() == []


def test_an_arm_has_its_own_settings_over_the_common_ones(check):
    arm = check().arm("cnn")
    assert arm["finetuning"]["epochs"] == 20
    assert arm["finetuning"]["warmup"] == 0.1
    assert arm["sizes"]["filters"] == 64


def test_variables_in_paths_are_expanded_and_unset_ones_named(check, monkeypatch):
    config = check(lambda c: c["sources"].update(genome={"path": "$DATA/x.fa"}))
    monkeypatch.setenv("DATA", "/data")
    assert config.source("genome") == {"path": "/data/x.fa"}
    monkeypatch.delenv("DATA")
    with pytest.raises(InputError, match=r"config: sources\.genome\.path: '\$DATA/x\.fa' names an unset variable"):
        config.source("genome")
