"""The bundled demo: every planted truth is found, and the simple arms that cannot know it do not know it."""

import pandas as pd
import pytest


@pytest.mark.slow
def test_the_demo_finds_what_was_planted(new_workflow):
    demo = new_workflow("presets/demo.yaml")
    demo.must()
    results = demo.folder / "results" / "demo"
    planted = pd.read_csv(results / "benchmark" / "planted.tsv", sep="\t").set_index("task")
    assert set(planted.index) == {"m6a_degradation", "lncrna_nuclear", "expression_high"}
    assert (planted["found_auroc"] == "yes").all(), planted
    assert (planted["found_motif"] == "yes").all(), planted
    summary = pd.read_csv(results / "benchmark" / "summary.tsv", sep="\t")
    auroc = summary[summary["metric"] == "auroc"].pivot(index="task", columns="arm", values="mean").astype(float)
    assert (auroc["lookup"] == 0.5).all()  # nothing is shared between the parts, so there is nothing to look up
    assert (auroc["composition"] < auroc["bert_pretrained_k6"]).all(), auroc
