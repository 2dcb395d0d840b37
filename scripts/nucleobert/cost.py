"""What a config costs: jobs, sequences, tokens, time and memory of each stage on the machines of a table of rates.

Training is estimated from its arithmetic: a measured speed is turned into operations a second, which stand between the
measured sizes for other ones. What was not measured is said to be unknown. All sizes come from results that are here
already, else from what the config expects.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nucleobert.config import Config, Result
from nucleobert.files import read_json
from nucleobert.variants import ENCODERS, STOCHASTIC

STAGES = ("fetch", "extract", "datasets", "pretrain", "finetune", "benchmark", "explain", "report")
COLUMNS = ("machine", "stage", "what", "jobs", "sequences", "tokens", "hours", "gib", "unmeasured")
UNMEASURED = "no measured rate"
# Types of task whose predictions are drawn.
DRAWN = ("binary", "regression")
_SPECIAL = 5
# Passes of a training step: forward, and backward of twice the work.
_TRAINING = 3
# fp32 weights, gradients and the two moments of AdamW.
_BYTES_PER_PARAMETER = 16
_GIB = 2**30

Rates = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """Sequences and nucleotides of a corpus, or of all items of a split."""

    sequences: float
    nucleotides: float

    @property
    def mean(self) -> float:
        """Nucleotides of a sequence."""
        return self.nucleotides / self.sequences


@dataclass(frozen=True)
class Network:
    """What decides the arithmetic of a network.

    Attributes
    ----------
    vocabulary
        Number of token ids; 0 where the network reads letters.
    length
        Tokens (or letters) of a sequence.
    masked
        Share of the tokens that a masked-language head predicts; 0 for a classifier.
    """

    architecture: str
    sizes: dict[str, Any]
    vocabulary: int
    length: float
    masked: float = 0.0

    def operations(self) -> float:
        """Return the floating-point operations of a token's forward pass: two for each weight it meets."""
        sizes = self.sizes
        if self.architecture not in ENCODERS:
            return 2.0 * sum(weights / nucleotides for weights, nucleotides in self._on_letters())
        attended = self.length
        if self.architecture == "modernbert":
            shares = 1 / sizes["global_every"]
            attended = shares * attended + (1 - shares) * min(attended, sizes["local_window"])
        layers = 2.0 * self._layer() * sizes["layers"] + 4.0 * attended * sizes["hidden"] * sizes["layers"]
        return layers + self.masked * 2.0 * sizes["hidden"] * (sizes["hidden"] + self.vocabulary)

    def _layer(self) -> int:
        hidden, intermediate = self.sizes["hidden"], self.sizes["intermediate"]
        return 4 * hidden**2 + (2 if self.architecture == "bert" else 3) * hidden * intermediate

    def _on_letters(self) -> list[tuple[float, float]]:
        """Return the weights of each layer of a network on letters, and the nucleotides between two uses of them.

        Attention counts as what its products are worth in weights.
        """
        sizes, letters = self.sizes, 4
        if self.architecture == "xpresso":
            found, channels, step = [], float(letters), 1.0
            for filters, width, pool in zip(sizes["filters"], sizes["widths"], sizes["pools"], strict=True):
                found.append((channels * width * filters, step))
                channels, step = filters, step * pool
            return [*found, (channels * sizes["dense"][0], step)] if sizes["dense"] else found
        if self.architecture == "alberto":
            size, pool = sizes["embedding"], sizes["pool"]
            layer = 4 * size**2 + 2 * size * sizes["feedforward"] + 2 * size * self.length / pool
            convolutions = (letters + sum(sizes["widths"]) * size + len(sizes["widths"]) * size) * size
            return [(convolutions, 1), (sizes["layers"] * layer, pool)]
        found = [(letters * sizes["width"] * sizes["filters"], 1.0)]
        if self.architecture == "residual_cnn":
            blocks = sizes["blocks"] * sizes["filters"] * (4 * sizes["filters"] + sizes["block_width"])
            return [(found[0][0] + blocks, 1.0)]
        if self.architecture == "cnn_lstm":
            found.append((2 * 4 * sizes["hidden"] * (sizes["filters"] + sizes["hidden"]), sizes["pool"]))
        return found

    def parameters(self) -> float:
        """Return the number of weights, small ones (biases, norms) left out."""
        sizes = self.sizes
        if self.architecture not in ENCODERS:
            return sum(weights for weights, _ in self._on_letters())
        positions = sizes.get("max_tokens", 512) if self.architecture == "bert" else 0
        return self._layer() * sizes["layers"] + sizes["hidden"] * (self.vocabulary + positions + sizes["hidden"])

    def width(self) -> float:
        """Return layers times hidden units, to which a token's activations are proportional."""
        sizes = self.sizes
        if self.architecture == "xpresso":
            return float(sizes["filters"][0])
        if self.architecture == "alberto":
            return float((len(sizes["widths"]) + 1) * sizes["embedding"])
        return float(sizes.get("layers", 1) * sizes.get("hidden", sizes.get("filters", 1)))


def tokens_of(size: Size, tokens: str | None, *, longest: float, per_bpe_token: float | None) -> float | None:
    """Return the mean tokens of a sequence, special ones counted; of a network that reads letters, its letters.

    Parameters
    ----------
    longest
        What a model reads at most.
    per_bpe_token
        Nucleotides of a BPE token; None where it was not measured.

    >>> tokens_of(Size(10, 5010), "k3", longest=512, per_bpe_token=None)
    501.0
    """
    if tokens is None:
        return size.mean
    if tokens == "bpe":
        return min(size.mean / per_bpe_token + 2, longest) if per_bpe_token else None
    k = 1 if tokens == "nt" else int(tokens[1:])
    return min(size.mean - k + 1 + 2, longest)


def vocabulary_of(tokens: str | None, bpe: int) -> int:
    """Return the number of token ids, special ones counted; 0 for letters."""
    if tokens is None:
        return 0
    if tokens == "bpe":
        return bpe
    return _SPECIAL + 4 ** (1 if tokens == "nt" else int(tokens[1:]))


def masked_share(masking: dict[str, Any], tokens: str) -> float:
    """Return the expected share of masked tokens.

    Parameters
    ----------
    masking
        As `Config.pretraining` gives it.

    Notes
    -----
    A k-mer is masked if one of k + span - 1 spans that could touch it starts, or one of the k tokens whose neighbour
    it is was chosen.
    """
    k = int(tokens[1:]) if tokens.startswith("k") else 1
    if masking["kind"] == "published":
        return 1 - (1 - masking["share"]) ** k
    return 1 - (1 - masking["share"]) ** ((k + masking["span"] - 1) / masking["span"])


def _kind(architecture: str) -> str:
    """Return what is measured together: encoders stand for each other, a network on letters for itself."""
    return "encoder" if architecture in ENCODERS else architecture


class Machine:
    """What was measured on a machine.

    Parameters
    ----------
    rates
        Its part of the table of rates, see resources/rates.yaml; empty if nothing was measured.
    """

    def __init__(self, rates: Rates) -> None:
        self.rates = rates

    def _points(self, network: Network, precision: str) -> list[tuple[Network, Rates]]:
        """Return the measured trainings that can stand for a network's, by rising operations.

        Of several with the same operations it is the one of the nearest length.
        """
        wanted = "fp32" if precision == "auto" else precision
        dropout = network.sizes.get("attention_dropout", 0) > 0
        found: dict[float, tuple[Network, Rates]] = {}

        def away(of: Network) -> float:
            return abs(math.log(of.length / network.length))

        for point in self.rates.get("training", []):
            sizes = point["sizes"]
            like = _kind(point["architecture"]) == _kind(network.architecture)
            if like and point["precision"] == wanted and (sizes.get("attention_dropout", 0) > 0) == dropout:
                keys = {key: point[key] for key in ("architecture", "sizes", "vocabulary", "length", "masked")}
                measured = Network(**keys)
                other = found.setdefault(measured.operations(), (measured, point))
                if away(measured) < away(other[0]):
                    found[measured.operations()] = (measured, point)
        return [found[operations] for operations in sorted(found)]

    def training_seconds(self, network: Network, tokens: float, precision: str) -> float | None:
        """Return the seconds of training on so many tokens; None where nothing like the network was measured."""
        points = self._points(network, precision)
        if not points:
            return None
        known = [math.log(measured.operations()) for measured, _ in points]
        speeds = [math.log(measured.operations() * point["tokens_per_second"]) for measured, point in points]
        speed = math.exp(np.interp(math.log(network.operations()), known, speeds))
        return tokens * network.operations() / speed

    def training_gib(self, network: Network, rows: float | None, precision: str) -> float | None:
        """Return the memory of a process that trains on `rows` sequences at once (GiB), None where it is unknown."""
        points = [pair for pair in self._points(network, precision) if (pair[0].masked > 0) == (network.masked > 0)]
        if not points or rows is None:
            return None
        place = math.log(network.operations())
        measured, point = min(points, key=lambda pair: abs(math.log(pair[0].operations()) - place))
        process = self.rates["process_gib"] * _GIB
        fixed = process + _BYTES_PER_PARAMETER * measured.parameters()
        activations = point["rows"] * measured.length * measured.width()
        each = max(point["gib"] * _GIB - fixed, 0) / activations
        variable = each * rows * network.length * network.width()
        return (process + _BYTES_PER_PARAMETER * network.parameters() + variable) / _GIB

    def job_seconds(self, rule: str, jobs: int, sequences: float | None) -> float | None:
        """Return the seconds of the jobs of a rule that trains nothing; None where it was not measured."""
        rates = self.rates.get("jobs", {}).get(rule)
        if rates is None or ("seconds_per_million" in rates and sequences is None):
            return None
        return jobs * rates.get("seconds", 0) + rates.get("seconds_per_million", 0) * (sequences or 0) / 1e6

    def job_gib(self, rule: str) -> float | None:
        """Return the peak memory of a rule's job (GiB); None where it was not measured."""
        return self.rates.get("jobs", {}).get(rule, {}).get("gib")


@dataclass(frozen=True)
class Part:
    """One line of the estimate, before time: jobs of a rule, or the training of one network.

    Attributes
    ----------
    tokens
        That pass the network, over all jobs; None where it is unknown.
    trains
        Whether time and memory are those of a network; False for the jobs of other rules.
    rows
        Sequences that a process holds at once; None where the job sees to that itself.
    """

    stage: str
    what: str
    jobs: int
    sequences: float | None = None
    tokens: float | None = None
    network: Network | None = None
    trains: bool = False
    rows: float | None = None
    precision: str = "fp32"


class Plan:
    """The work that a config asks for.

    Parameters
    ----------
    config
        The checked config.
    per_bpe_token
        Nucleotides of a BPE token, or None.
    """

    def __init__(self, config: Config, per_bpe_token: float | None) -> None:
        self.config, self._per_bpe_token = config, per_bpe_token
        self._results = Path(config["pathvars"]["results"])

    def corpus_size(self, corpus: str) -> Size | None:
        """Return the size of a corpus: of the packed one if it is here, else what the config expects."""
        card = self._results / "corpora" / corpus / "card.json"
        if card.is_file():
            found = read_json(card)
            return Size(found["pieces"], found["nucleotides"])
        expected = self.config["corpora"][corpus].get("expected")
        return Size(**expected) if expected else None

    def fold_sizes(self, task: str, split: str) -> dict[str, Size] | None:
        """Return the mean size of the parts of a fold: train, dev and test."""
        expected = self.config["tasks"][task].get("expected")
        table = self._results / "datasets" / task / split / "split.tsv"
        mean = expected["nucleotides"] / expected["sequences"] if expected else self._mean_length(task)
        if mean is None:
            return None
        if table.is_file():
            rows = pd.read_csv(table, sep="\t", usecols=["fold", "part"])
            counts = rows["part"].value_counts() / max(rows["fold"].nunique(), 1)
        elif expected:
            folds = self.config["tasks"][task]["splits"][split].get("folds")
            shares = (1 - 2 / folds, 1 / folds, 1 / folds) if folds else (0.8, 0.1, 0.1)
            counts = pd.Series(shares, index=["train", "dev", "test"]) * expected["sequences"]
        else:
            return None
        return {str(part): Size(float(count), float(count) * mean) for part, count in counts.items() if count}

    def _mean_length(self, task: str) -> float | None:
        items = self._results / "datasets" / task / "items.parquet"
        if not items.is_file():
            return None
        lengths = pd.read_parquet(items, columns=["sequence"])["sequence"].dropna().str.len()
        return float(lengths.mean()) if len(lengths) else None

    def _network(self, architecture: str, tokens: str | None, length: float, masked: float = 0.0) -> Network:
        vocabulary = vocabulary_of(tokens, self.config["bpe"]["vocabulary"])
        return Network(architecture, self.config.architecture(architecture), vocabulary, length, masked)

    def _length(
        self, size: Size, architecture: str, tokens: str | None, reading: dict[str, Any] | None = None
    ) -> float | None:
        """Return the tokens of a sequence; `reading` are the settings of fine-tuning that say how it is cut."""
        reading = reading or {}
        longest = self.config.architecture(architecture).get("max_tokens", math.inf)
        if "overlap" in reading:
            longest = math.inf
        most = reading.get("max_nucleotides", math.inf)
        cut = Size(size.sequences, min(size.nucleotides, most * size.sequences))
        found = tokens_of(cut, tokens, longest=longest, per_bpe_token=self._per_bpe_token)
        return found and found * (2 if reading.get("both_strands") else 1)

    def _pretraining(self) -> Iterable[Part]:
        for corpus, architecture, tokens in self.config.pretrained_of():
            settings, size = self.config.pretraining(corpus, tokens), self.corpus_size(corpus)
            length = self._length(size, architecture, tokens) if size else None
            what = f"pretrain_model {corpus} {architecture} {tokens}"
            if size is None or length is None:
                yield Part("pretrain", what, 1, trains=True)
                continue
            sequences = (
                settings["steps"] * settings["batch"] if "steps" in settings else settings["epochs"] * size.sequences
            )
            network = self._network(architecture, tokens, length, masked_share(settings["masking"], tokens))
            devices = self.config.devices(corpus)
            rows = settings["batch"] / (settings["accumulate"] * devices["processes"] * devices["nodes"])
            yield Part(
                "pretrain",
                what,
                1,
                sequences,
                sequences * length,
                network,
                True,
                rows,
                settings["precision"],
            )

    def _runs(self) -> dict[tuple[str, str], list[Result]]:
        """Return the lines of the benchmark by system and variant; what two systems share is the first one's."""
        found: dict[tuple[str, str], list[Result]] = {}
        for result in self.config.results:
            system, task, _, variant = result
            if self.config.system_of(task, variant.name) == system:
                found.setdefault((system, variant.name), []).append(result)
        return found

    def _finetuning(self) -> Iterable[Part]:
        more = self.config["search"]["trials"] - 1
        for (system, name), runs in self._runs().items():
            jobs = sum(len(self.config.folds(task, split)) for _, task, split, _ in runs)
            variant = runs[0][3]
            if variant.architecture not in STOCHASTIC:
                yield Part("finetune", f"fit_baseline {system} {name}", jobs)
                continue
            tuning = self.config.arm(runs[0][1], name)["finetuning"]
            sequences = tokens = weighted = 0.0
            known = True
            for _, task, split, _ in runs:
                sizes = self.fold_sizes(task, split)
                reading = self.config.arm(task, name)["finetuning"]
                length = self._length(sizes["train"], variant.architecture, variant.tokens, reading) if sizes else None
                if sizes is None or length is None:
                    known = False
                    continue
                trainings = len(self.config.folds(task, split)) * (len(self.config.seeds(system, variant)) + more)
                dev = sizes["dev"].sequences / _TRAINING if "dev" in sizes else 0
                read = trainings * tuning["epochs"] * sizes["train"].sequences
                sequences += read
                tokens += (read + trainings * tuning["epochs"] * dev) * length
                weighted += read * length
            what = f"finetune_model {system} {name}"
            if not known or not sequences:
                yield Part("finetune", what, jobs, trains=True)
                continue
            network = self._network(variant.architecture, variant.tokens, weighted / sequences)
            rows = tuning["batch"] / tuning["accumulate"]
            yield Part("finetune", what, jobs, sequences, tokens, network, True, rows, tuning["precision"])

    def _explanations(self) -> Iterable[Part]:
        settings = self.config["attribution"]
        most, steps, precision = settings.get("max_items"), settings["steps"], settings["precision"]
        for task, split, name in self.config.explained():
            variant, sizes = self.config.variant(task, name), self.fold_sizes(task, split)
            reading = self.config.arm(task, name)["finetuning"]
            length = self._length(sizes["test"], variant.architecture, variant.tokens, reading) if sizes else None
            what = f"attribute_scores {task}/{split}/{name}"
            if sizes is None or length is None:
                yield Part("explain", what, 1, trains=True)
                continue
            items = sizes["test"].sequences if most is None else min(sizes["test"].sequences, 2 * most)
            sequences = items * len(self.config.folds(task, split))
            seeds = len(self.config.seeds(self.config.system_of(task, name), variant))
            network = self._network(variant.architecture, variant.tokens, length)
            yield Part(
                "explain", what, 1, sequences, sequences * seeds * steps * length, network, True, None, precision
            )

    def parts(self) -> list[Part]:
        """Return every line of the estimate, in the order of the stages."""
        config = self.config
        regions, gdc, splits = config.regions_used(), config.gdc_used(), config.splits_of()
        sizes = [self.fold_sizes(*split) for split in splits]
        items = [sum(part.sequences for part in size.values()) for size in sizes if size]
        exposed = {(t, s, v.init) for _, t, s, v in config.results if v.init in config["corpora"]}
        trained = {(t, s) for _, t, s, v in config.results if v.architecture in STOCHASTIC}
        tested = dict.fromkeys((t, s) for _, t, s, _ in config.results)
        from_hub = [name for name, _ in config.checkpoints_used() if "hub" in config["checkpoints"][name]]
        demo = int("demo" in config.values)
        kinds = [config["regions"][name]["kind"] for name in regions]
        queries = [config["gdc"][name]["kind"] for name in gdc]
        drawn = [task for task in dict.fromkeys(t for t, _ in tested) if config.outcome(task)["type"] in DRAWN]
        found = [
            Part("fetch", "generate_demo", demo),
            Part("fetch", "fetch_source", len(config.sources_used())),
            Part("fetch", "query_gdc", len(gdc)),
            Part("fetch", "fetch_gdc", len(gdc)),
            Part("fetch", "fetch_checkpoint", len(from_hub)),
            Part("extract", "prepare_genome", int(bool(regions))),
            Part("extract", "read_annotation", int(any(kind != "genome_pieces" for kind in kinds))),
            *(Part("extract", f"extract_{kind}", kinds.count(kind)) for kind in dict.fromkeys(kinds)),
            *(Part("extract", f"tabulate_{kind}", queries.count(kind)) for kind in dict.fromkeys(queries)),
            Part("datasets", "build_dataset", len(config.tasks_used)),
            Part("datasets", "build_inputs", sum(map(config.has_inputs, config.tasks_used))),
            *(
                part
                for rule in ("split_dataset", "audit_dataset")
                for part in (
                    Part("datasets", rule, len(items), sum(items)),
                    Part("datasets", rule, len(splits) - len(items)),
                )
            ),
            Part("datasets", "build_corpus", len(config.corpora_used())),
            Part("datasets", "audit_corpus", len(exposed)),
            Part("pretrain", "train_bpe", len(config.vocabularies_used())),
            Part("pretrain", "import_checkpoint", len(config.checkpoints_used())),
            *self._pretraining(),
            *self._finetuning(),
            Part("benchmark", "predict_test", len(tested)),
            Part("benchmark", "summarise_benchmark", 1),
            *self._explanations(),
            Part("explain", "find_motifs", len(config.explained())),
            Part("explain", "plot_attributions", len(config.explained())),
            Part("report", "plot_benchmark", len({task for task, _ in tested})),
            Part("report", "plot_predictions", len(drawn)),
            Part("report", "plot_leak", int(bool(config.leaks()))),
            Part("report", "plot_learning", len(trained)),
            Part("report", "plot_pretraining", int(bool(config.pretrained_of()))),
            Part("report", "check_planted", demo),
            Part("report", "write_report", 1),
        ]
        return [part for part in found if part.jobs]


def estimate(parts: list[Part], machine: Machine, name: str) -> list[dict[str, Any]]:
    """Return a row for each part, with `COLUMNS`; hours are those of the jobs one after the other.

    `unmeasured` is the number of jobs whose time is not known.
    """
    rows = []
    for part in parts:
        if part.network is not None and part.tokens is not None:
            seconds = machine.training_seconds(part.network, part.tokens, part.precision)
            gib = machine.training_gib(part.network, part.rows, part.precision)
        elif part.trains:
            seconds = gib = None
        else:
            rule = part.what.split()[0]
            seconds, gib = machine.job_seconds(rule, part.jobs, part.sequences), machine.job_gib(rule)
        unmeasured = part.jobs if seconds is None else 0
        if seconds is not None and part.trains:
            seconds += part.jobs * machine.rates.get("start_seconds", 0)
        hours = None if seconds is None else seconds / 3600
        values = (name, part.stage, part.what, part.jobs, part.sequences, part.tokens, hours, gib, unmeasured)
        rows.append(dict(zip(COLUMNS, values, strict=True)))
    return rows


def _sum(rows: list[dict[str, Any]], what: str, stage: str) -> dict[str, Any]:
    """Return the sum of rows; the memory is that of the largest job, and what no row knows stays unknown."""

    def total(key: str) -> float | None:
        known = [row[key] for row in rows if row[key] is not None]
        return sum(known) if known else None

    memory = [row["gib"] for row in rows if row["gib"] is not None]
    return {
        "machine": rows[0]["machine"],
        "stage": stage,
        "what": what,
        "jobs": total("jobs"),
        "sequences": total("sequences") if any(row["tokens"] for row in rows) else None,
        "tokens": total("tokens"),
        "hours": total("hours"),
        "gib": max(memory) if memory else None,
        "unmeasured": total("unmeasured"),
    }


def cost_table(config: Config, rates: Rates) -> list[dict[str, Any]]:
    """Return the estimate for every machine of the table of rates: each stage's parts, their sum, and the total."""
    rows = []
    for key, machine in rates["machines"].items():
        parts = Plan(config, rates.get("bpe_nucleotides_per_token")).parts()
        found = estimate(parts, Machine(machine), key)
        for stage in STAGES:
            of_stage = [row for row in found if row["stage"] == stage]
            if of_stage:
                trained = [row for row in of_stage if row["tokens"] is not None]
                rows += [*trained, _sum(of_stage, "all", stage)]
        rows.append(_sum(found, "all", "total"))
    return rows


def _number(value: float | None, unit: str = "") -> str:
    if value is None:
        return "?"
    if unit == "count":
        return f"{value:,.0f}" if value < 1e6 else f"{value:.3g}"
    if value < 0.01:
        return "<0.01"
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"


def cost_text(rows: list[dict[str, Any]], rates: Rates) -> str:
    """Return the estimate as text with aligned columns, one table a machine, and what to know of it."""
    lines = []
    for key, machine in rates["machines"].items():
        lines += [f"{machine['name']}", ""]
        cells = [("stage", "what", "jobs", "sequences", "tokens", "hours", "GiB", "jobs of unknown time")]
        for row in rows:
            if row["machine"] == key:
                counts = [_number(row[name], "count") for name in ("jobs", "sequences", "tokens")]
                told = [_number(row[name]) for name in ("hours", "gib")]
                cells.append((row["stage"], row["what"], *counts, *told, _number(row["unmeasured"], "count")))
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for line in cells:
            left = [cell.ljust(width) for cell, width in zip(line[:2], widths[:2], strict=True)]
            right = [cell.rjust(width) for cell, width in zip(line[2:], widths[2:], strict=True)]
            lines.append("  ".join([*left, *right]).rstrip())
        lines.append("")
    lines += [f"{kind}: {UNMEASURED}" for kind in ("cpu", "gpu") if kind not in rates["machines"]]
    lines.append(
        "Hours are those of the jobs one after the other, without downloads; tokens are those that training and"
        " attribution read; '?' was not measured, or the config expects no size (expected: {sequences, nucleotides})."
    )
    return "\n".join(lines) + "\n"
