"""The table of costs adds up and says what is unknown."""

import copy
import math

import pytest
import yaml

from made_config import made_config
from nucleobert.cost import cost_table, cost_text


def test_the_table_adds_up_and_says_what_it_does_not_know(root, tmp_path):
    rates = yaml.safe_load((root / "resources" / "rates.yaml").read_text())
    made = made_config(
        root, tmp_path, lambda c: c["corpora"]["m6a"].update(expected={"sequences": 1000, "nucleotides": 400000})
    )
    rows = cost_table(made, rates)
    total = rows[-1]
    stages = [row for row in rows if row["what"] == "all" and row["stage"] != "total"]
    for key in ("jobs", "tokens", "hours", "unmeasured"):
        assert total[key] == pytest.approx(sum(row[key] or 0 for row in stages))
    assert total["hours"] > 0
    assert not math.isnan(total["gib"])
    text = cost_text(rows, rates)
    assert rates["machines"]["cpu"]["name"] in text
    assert "gpu: no measured rate" in text
    nothing = copy.deepcopy(rates)
    nothing["machines"]["cpu"]["training"] = []
    unknown = cost_table(made, nothing)[-1]
    assert unknown["unmeasured"] > total["unmeasured"]
