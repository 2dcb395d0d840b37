"""Measures the model half of the workflow beside what would be installed instead. `make bench-models`.

Four parts: k-mer ids, training steps, batches of mixed lengths, integrated gradients. The arms of a comparison run in
turn, each training arm in a process of its own, several times; the table has the medians of the seconds and the highest
peak of memory. What should be equal is compared, or the run fails.
"""

import argparse
import csv
import gzip
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from nucleobert.architectures import ClassifierCard, MaskedLoss, build_classifier, build_masked_lm, inputs, token_inputs
from nucleobert.files import read_json, write_beside, write_json
from nucleobert.losses import loss_of
from nucleobert.masking import IGNORED, Masking, item_keys, mask
from nucleobert.outcomes import Outcome
from nucleobert.prediction import Reader, grouped_logits
from nucleobert.sequences import fasta_records
from nucleobert.tokenisers import KmerTokeniser, encode_many
from nucleobert.tokens import CLS, LETTERS, PAD, SEP, UNK
from nucleobert.training import prepare_torch
from peer_multimolecule import peak_mib, timed_steps

_HERE = Path(__file__).resolve().parent
_PEER = ("multimolecule==0.2.2", "torch==2.13.0")
_BASE = {"hidden": 768, "layers": 12, "heads": 12, "intermediate": 3072, "dropout": 0.1}
_SMALL = {"hidden": 32, "layers": 1, "heads": 2, "intermediate": 64, "dropout": 0.1}
_WINDOW, _WINDOWS = 501, 6_087
_MASKED_SHARE = 0.15
# Runs of our tokeniser for each one of the other, which takes much longer.
_TIMES = 5
# The sets of the data folder from which a batch of mixed lengths is drawn, as many from each.
_MIXED = {
    "lncRNA": ("lncrna/iloc.human219.fa.gz", "lncrna/iloc.human623.fa.gz", "lncrna/iloc.mouse65.fa.gz"),
    "RBP": ("rbp/iclip_tia1.test.fa.gz", "rbp/parclip_elavl1a.test.fa.gz", "rbp/parclip_pum2.test.fa.gz"),
    "TF": ("tfbs/gue_human_tf_0.test.csv.gz",),
    "promoter": ("promoter/gue_prom_300_tata.test.csv.gz",),
    "core promoter": ("promoter/gue_prom_core_all.test.csv.gz",),
}
# Where there is no data folder: nt of made sequences.
_MADE_LENGTHS = {"lncRNA": (200, 3000), "RBP": (101, 102), "TF": (101, 102), "promoter": (300, 301), "core": (70, 71)}
_PARTS = ("tokens", "steps", "lengths", "attribution")
_ATTRIBUTION_COLUMNS = (
    "comparison", "who", "precision", "points", "seconds", "ratio", "ratio_hindsight", "completeness_error",
    "score_difference",
)  # fmt: skip
_COLUMNS = ("task", "who", "seconds", "peak_mib", "times_ours", "our_memory", "remark")


@dataclass
class Arm:
    """One way to do a task.

    Attributes
    ----------
    command
        Prints a line of JSON with ``seconds`` (a list) and ``peak_mib``, and perhaps a ``remark``.
    spec
        What `_run_arm` takes for the same in this process; empty where the command is another program's.
    """

    task: str
    who: str
    command: list[str]
    spec: dict[str, Any] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    peak_mib: float = 0.0
    remark: str = ""

    def run(self, log: Path, *, here: bool = False) -> None:
        """Run it once more, `here` in this process if it can be (the memory is then that of all that ran here)."""
        if here and self.spec:
            self._add(_run_arm(dict(self.spec)))
            return
        environment = os.environ | {"PYTHONPATH": str(_HERE.parent / "scripts")}
        with open(log, "ab") as errors:
            told = subprocess.run(self.command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
        if told.returncode:
            raise SystemExit(f"{self.task}, {self.who}: ended with status {told.returncode}; see {log}")
        self._add(json.loads(told.stdout.splitlines()[-1]))

    def _add(self, said: dict[str, Any]) -> None:
        self.seconds += said["seconds"]
        self.peak_mib = max(self.peak_mib, said["peak_mib"])
        self.remark = said.get("remark", self.remark)


# The arms, each run in a process of its own by `--arm`


def _random_codes(batch: int, tokens: int, k: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, len(LETTERS), (batch, tokens - 2 + k - 1), dtype=np.uint8)


def _train(model: Any, loss: Any, spec: dict[str, Any], *, fused: bool, bf16: bool) -> dict[str, Any]:
    """Time steps of a model whose `loss()` returns the mean loss."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-5, fused=fused)
    model.train()

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            value = loss()
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()

    seconds = timed_steps(step, spec["steps"])
    if not torch.isfinite(loss().detach()):
        raise SystemExit("the loss is not finite")
    return {"seconds": seconds, "peak_mib": peak_mib()}


def _masked(spec: dict[str, Any]) -> Any:
    """Return a batch without padding, masked as both arms get it."""
    codes = _random_codes(spec["batch"], spec["tokens"], spec["k"])
    lengths = np.full(len(codes), codes.shape[1], dtype=np.int64)
    keys = item_keys(0, 0, np.arange(len(codes)))
    return mask(codes, lengths, keys, tokeniser=KmerTokeniser(spec["k"]), masking=Masking(), share=spec["masked_share"])


def _card(spec: dict[str, Any]) -> ClassifierCard:
    return ClassifierCard("bert", f"k{spec['k']}", Outcome(), max_tokens=spec["tokens"])


def _ours(spec: dict[str, Any]) -> dict[str, Any]:
    """Time the workflow's own model, as its training computes it."""
    tokeniser = KmerTokeniser(spec["k"])
    train = {"fused": True, "bf16": spec.get("precision", "bf16") == "bf16"}
    if spec["task"] == "mlm":
        masked = _masked(spec)
        masked_lm = build_masked_lm("bert", spec["sizes"], tokeniser)
        labels, batch = torch.from_numpy(masked.labels), token_inputs(masked.ids)
        count, summed = int((masked.labels != IGNORED).sum()), MaskedLoss(masked_lm)
        return _train(masked_lm, lambda: summed(labels=labels, **batch) / count, spec, **train)
    card, sequences = _card(spec), list(_random_codes(spec["batch"], spec["tokens"], spec["k"]))
    model, loss = build_classifier(card, spec["sizes"], tokeniser), loss_of(None, card.outcome)
    targets = torch.arange(len(sequences)) % 2
    grouped, _ = Reader(card, tokeniser).batch([[codes] for codes in sequences])
    return _train(model, lambda: loss(grouped_logits(model, "mean", **grouped).float(), targets).mean(), spec, **train)


def _stock(spec: dict[str, Any]) -> dict[str, Any]:
    """Time transformers' model as a user would train it: the whole head, a mask of ones, dropout of its defaults."""
    sizes, k = spec["sizes"], spec["k"]
    settings: dict[str, Any] = {"num_labels": 2, "attn_implementation": spec["attention"]}
    config = transformers.BertConfig(
        vocab_size=KmerTokeniser(k).size,
        hidden_size=sizes["hidden"],
        num_hidden_layers=sizes["layers"],
        num_attention_heads=sizes["heads"],
        intermediate_size=sizes["intermediate"],
        max_position_embeddings=max(spec["tokens"], 512),
        **settings,
    )
    batch: dict[str, Any]
    if spec["task"] == "mlm":
        masked = _masked(spec)
        model: Any = transformers.BertForMaskedLM(config)
        batch = {"input_ids": torch.from_numpy(masked.ids), "labels": torch.from_numpy(masked.labels)}
    else:
        model = transformers.BertForSequenceClassification(config)
        ids = KmerTokeniser(k).inputs(list(_random_codes(spec["batch"], spec["tokens"], k)))
        batch = {"input_ids": torch.from_numpy(ids), "labels": torch.arange(len(ids)) % 2}
    batch["attention_mask"] = torch.ones_like(batch["input_ids"])
    return _train(model, lambda: model(**batch).loss, spec, fused=False, bf16=spec["precision"] == "bf16")


def _lengths(spec: dict[str, Any]) -> dict[str, Any]:
    """Time batches of real sequences, padded to the longest of the batch or grouped by length within it."""
    tokeniser, card = KmerTokeniser(spec["k"]), _card(spec)
    reader = Reader(card, tokeniser)
    sequences = encode_many(Path(spec["sequences"]).read_text().split())
    model, loss = build_classifier(card, spec["sizes"], tokeniser), loss_of(None, card.outcome)
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-5, fused=True)
    model.train()
    seconds, read, computed = [], 0, 0
    for start in range(0, len(sequences), spec["batch"]):
        pieces = [reader.pieces(codes) for codes in sequences[start : start + spec["batch"]]]
        targets = torch.arange(len(pieces)) % 2
        began = time.perf_counter()
        grouped, counts = reader.batch(pieces)
        if spec["grouped"]:
            batch = grouped
        else:
            batch = {"groups": [inputs(card, tokeniser, [p[0] for p in pieces])], "order": torch.arange(len(pieces))}
        with torch.autocast("cpu", torch.bfloat16):
            value = loss(grouped_logits(model, "mean", **batch).float(), targets).mean()
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        seconds.append(time.perf_counter() - began)
        read += counts["tokens"]
        computed += sum(group["input_ids"].numel() for group in batch["groups"])
    # The first batch is not counted; the batches differ, so that their mean is the measurement.
    return {
        "seconds": [statistics.mean(seconds[1:])],
        "peak_mib": peak_mib(),
        "remark": f"{1 - read / computed:.0%} padding",
    }


def _run_arm(spec: dict[str, Any]) -> dict[str, Any]:
    kind = spec.pop("kind")
    if kind == "stock":
        torch.set_num_threads(spec["threads"])
        torch.manual_seed(0)
    else:
        prepare_torch(spec["threads"], 0)
    return {"ours": _ours, "stock": _stock, "lengths": _lengths}[kind](spec)


def _child(task: str, who: str, /, **spec: Any) -> Arm:
    return Arm(task, who, [sys.executable, str(Path(__file__).resolve()), "--arm", json.dumps(spec)], spec)


def _peer(python: str, verb: str, **spec: Any) -> list[str]:
    return [python, str(_HERE / "peer_multimolecule.py"), verb, json.dumps(spec)]


# The data


def _data_folder() -> Path | None:
    folder = Path(os.environ.get("NUCLEOBERT_REAL_DATA", ""))
    return folder if (folder / "m6a").is_dir() else None


def _made(count: int, shortest: int, longest: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    letters = np.array(list("ACGT"))
    return ["".join(rng.choice(letters, n)) for n in rng.integers(shortest, longest, count)]


def _sequences(path: Path) -> list[str]:
    if ".csv" in path.suffixes:
        with gzip.open(path, "rt", newline="") as lines:
            return [row["sequence"] for row in csv.DictReader(lines)]
    return [sequence for _, sequence in fasta_records(path)]


def _windows(small: bool) -> tuple[list[str], str]:
    """Return m6A-BERT-Deg's windows, or made ones of that size."""
    folder = None if small else _data_folder()
    if folder is None:
        return _made(50 if small else _WINDOWS, _WINDOW, _WINDOW + 1, 0), "made windows"
    files = sorted((folder / "m6a").glob("m6abert_deg.*.fa.gz"))
    return [sequence for path in files for sequence in _sequences(path)], "windows of m6A-BERT-Deg"


def _batches(small: bool, count: int, only: str | None) -> tuple[list[str], str]:
    """Return `count` sequences in random order, as many of each set (or of the set `only` alone)."""
    folder, rng = (None if small else _data_folder()), np.random.default_rng(0)
    chosen: list[str] = []
    wanted = [name for name in (_MADE_LENGTHS if folder is None else _MIXED) if only in (None, name)]
    for number, name in enumerate(wanted):
        each = -(-count // len(wanted))
        if folder is None:
            chosen += _made(each, *_MADE_LENGTHS[name], number)
        else:
            pool = [sequence for path in _MIXED[name] for sequence in _sequences(folder / path)]
            chosen += [pool[i] for i in rng.choice(len(pool), each, replace=False)]
    return [chosen[i] for i in rng.permutation(len(chosen))[:count]], "made" if folder is None else "real"


# The parts


def _multimolecule(folder: Path) -> str | None:
    """Return the Python of an environment with multimolecule: the one that is named, else one made here, else None."""
    if named := os.environ.get("NUCLEOBERT_MULTIMOLECULE"):
        return named
    home, uv = folder / "multimolecule", str(Path(sys.executable).with_name("uv"))
    python = home / "bin" / "python"
    if not python.exists():
        made = subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(home)])
        if made.returncode:
            return None
    wheels = [part for path in os.environ.get("PIP_FIND_LINKS", "").split() for part in ("--find-links", path)]
    where = wheels or ["--torch-backend", "cpu"]
    installed = subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *where, *_PEER])
    return None if installed.returncode else str(python)


def _ids(sequences: list[str], k: int) -> tuple[list[NDArray[np.int64]], float]:
    """Return our ids, padding cut off, and the seconds from strings to the padded array."""
    tokeniser = KmerTokeniser(k)
    began = time.perf_counter()
    codes = encode_many(sequences)
    ids = tokeniser.inputs(codes)
    seconds = time.perf_counter() - began
    return [row[: tokeniser.count(item) + 2] for row, item in zip(ids, codes, strict=True)], seconds


def _as_ours(vocabulary: dict[str, int], k: int) -> NDArray[np.int64]:
    """Return our id of each of multimolecule's ids; -1 where there is none."""
    ours = {word: number for number, word in enumerate(KmerTokeniser(k).words)}
    special = {"<pad>": PAD, "<cls>": CLS, "<eos>": SEP, "<unk>": UNK}
    table = np.full(max(vocabulary.values()) + 1, -1, dtype=np.int64)
    for word, number in vocabulary.items():
        if word in special:
            table[number] = special[word]
        elif re.fullmatch("[ACGUN]+", word):
            table[number] = ours.get(word.replace("U", "T"), UNK)
    return table


def _tokens(python: str | None, work: Path, log: Path, rounds: int, small: bool) -> list[Arm]:
    """Measure k-mer ids from strings; fail where multimolecule gives others."""
    sequences, what = _windows(small)
    (work / "windows.txt").write_text("\n".join(sequences))
    arms = []
    for k in (3, 6):
        task = f"k-mer ids of {len(sequences):,} {what}, k = {k}"
        ours = Arm(task, "nucleobert", [])
        peer = Arm(task, "multimolecule RnaTokenizer", [])
        if python:
            peer.command = _peer(python, "tokenise", k=k, sequences=str(work / "windows.txt"), out=str(work))
        for _ in range(rounds):
            if python:
                peer.run(log)
            for _ in range(_TIMES):
                found, seconds = _ids(sequences, k)
                ours.seconds.append(seconds)
        if python:
            theirs = np.load(work / "ids.npz")
            mapped = _as_ours(read_json(work / "vocabulary.json"), k)[theirs["ids"]]
            same = np.array_equal(mapped, np.concatenate(found))
            if not same or not np.array_equal(theirs["lengths"], [len(row) for row in found]):
                raise SystemExit(f"{task}: the ids differ")
            ours.remark = peer.remark = "ids equal"
        arms += [ours, peer] if python else [ours]
    return arms


def _steps(python: str | None, settings: bool, **spec: Any) -> list[Arm]:
    """Return the arms of a fine-tuning step and of a step of masked-language modelling, ours first."""
    arms = []
    for task, name in (("finetune", "fine-tuning step"), ("mlm", "MLM step")):
        full = f"{name}, {spec['batch']} x {spec['tokens']} tokens, k = {spec['k']}"
        eager = {"kind": "stock", "attention": "eager", "precision": "fp32"}
        given = spec | {"task": task}
        arms += [
            _child(full, "nucleobert", kind="ours", **given),
            _child(full, "transformers, eager, fp32", **eager, **given),
        ]
        if python:
            arms.append(Arm(full, "multimolecule", _peer(python, "step", **given)))
        if settings:
            sizes = spec["sizes"]
            arms += [
                _child(full, "transformers, SDPA, fp32", **(eager | {"attention": "sdpa"}), **given),
                _child(
                    full,
                    "transformers, SDPA, bf16",
                    **(eager | {"attention": "sdpa", "precision": "bf16"}),
                    **given,
                ),
                _child(full, "nucleobert, fp32", kind="ours", precision="fp32", **given),
                _child(
                    full,
                    "nucleobert, attention dropout 0.1",
                    kind="ours",
                    **(given | {"sizes": sizes | {"attention_dropout": 0.1}}),
                ),
                _child(full, "nucleobert, no dropout", kind="ours", **(given | {"sizes": sizes | {"dropout": 0.0}})),
            ]
    return arms


def _mixed(work: Path, small: bool, batches: int, **spec: Any) -> list[Arm]:
    """Return the arms of batches of mixed lengths, in which equal numbers come from each set, and of lncRNAs alone."""
    arms = []
    for name, only in (("mixed lengths", None), ("lncRNA", "lncRNA")):
        sequences, made = _batches(small, (batches + 1) * spec["batch"], only)
        path = work / f"{name.replace(' ', '_')}.txt"
        path.write_text("\n".join(sequences))
        task = f"fine-tuning step, {spec['batch']} {made} sequences, {name}, up to {spec['tokens']} tokens"
        given = {"kind": "lengths", "sequences": str(path), **spec}
        arms += [
            _child(task, "nucleobert, grouped by length", grouped=True, **given),
            _child(task, "nucleobert, padded to the longest", grouped=False, **given),
        ]
    return arms


def _rows(arms: list[Arm]) -> list[dict[str, Any]]:
    """Return the medians, with ratios to the first arm of the task, which is ours."""
    rows = []
    for arm in arms:
        first = next(other for other in arms if other.task == arm.task)
        seconds, ours = statistics.median(arm.seconds), statistics.median(first.seconds)
        other = arm is not first
        rows.append(
            {
                "task": arm.task,
                "who": arm.who,
                "seconds": seconds,
                "peak_mib": arm.peak_mib or None,
                "times_ours": seconds / ours if other else None,
                "our_memory": first.peak_mib / arm.peak_mib if other and first.peak_mib else None,
                "remark": arm.remark,
            }
        )
    return rows


def _machine() -> str:
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    flags = next((line.split() for line in open("/proc/cpuinfo") if line.startswith("flags")), [])
    wide = ", ".join(name for flag, name in (("avx512f", "AVX-512"), ("avx512_bf16", "bf16"), ("amx_bf16", "AMX"))
                     if flag in flags)  # fmt: skip
    return (
        f"{platform.machine()} {model} ({wide or 'no AVX-512'}), {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"{platform.system()}, Python {platform.python_version()}, torch {torch.__version__}, "
        f"transformers {transformers.__version__}, load at the start {os.getloadavg()[0]:.1f}"
    )


def _figure(value: Any) -> str:
    if not isinstance(value, float):
        return "" if value is None else str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _table(rows: list[dict[str, Any]], columns: Sequence[str]) -> str:
    lines = ["| " + " | ".join(column.replace("_", " ") for column in columns) + " |", "|---" * len(columns) + "|"]
    lines += ["| " + " | ".join(_figure(row[column]) for column in columns) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def markdown(results: dict[str, Any]) -> str:
    """Return the tables of a run as Markdown."""
    parts = [results["machine"] + "\n"]
    if results["rows"]:
        parts.append(_table(results["rows"], _COLUMNS))
    if results["attribution"]:
        parts.append(_table(results["attribution"], _ATTRIBUTION_COLUMNS))
    return "\n".join(parts)


def _attribution(small: bool, threads: int, rounds: int) -> list[dict[str, Any]]:
    import bench_attribution

    torch.set_num_threads(threads)
    if small:
        return bench_attribution.measure(_SMALL, 24, 8, items=1, repeats=1)
    return bench_attribution.measure(_BASE, 512, 50, items=1, repeats=rounds)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts and write bench_models.json and bench_models.md."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("results/bench"))
    parser.add_argument("--small", action="store_true", help="tiny sizes and made data, in seconds")
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=list(_PARTS))
    parser.add_argument("--rounds", type=int, default=3, help="times that each arm runs")
    parser.add_argument("--steps", type=int, default=2, help="steps that are timed in a run")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batches", type=int, default=2, help="batches of mixed lengths that are timed in a run")
    parser.add_argument("--settings", action="store_true", help="also the effect of precision, attention and dropout")
    parser.add_argument("--no-multimolecule", action="store_true", help="do not make an environment for multimolecule")
    parser.add_argument("--markdown", action="store_true", help="print the tables of the last run, and run nothing")
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.arm:
        print(json.dumps(_run_arm(json.loads(given.arm))))
        return
    path = given.folder / "bench_models.json"
    if given.markdown:
        print(markdown(read_json(path)))
        return

    machine, work = _machine(), given.folder / "work_models"
    work.mkdir(parents=True, exist_ok=True)
    log = given.folder / "bench_models.log"
    print(machine, flush=True)
    peer_wanted = not given.no_multimolecule and {"tokens", "steps"} & set(given.parts)
    python = _multimolecule(given.folder) if peer_wanted else None
    if peer_wanted and not python:
        print("multimolecule cannot be had and is left out")
    spec: dict[str, Any] = {"sizes": _BASE, "k": 3, "steps": given.steps, "threads": given.threads}
    shape, mixed_shape = {"batch": 8, "tokens": 512}, {"batch": 32, "tokens": 512}
    if given.small:
        spec |= {"sizes": _SMALL}
        shape, mixed_shape = {"batch": 2, "tokens": 32}, {"batch": 8, "tokens": 256}
    arms = []
    if "tokens" in given.parts:
        arms += _tokens(python, work, log, given.rounds, given.small)
    to_run: list[Arm] = []
    if "steps" in given.parts:
        to_run += _steps(python, given.settings, **spec, **shape, masked_share=_MASKED_SHARE)
    if "lengths" in given.parts:
        to_run += _mixed(work, given.small, given.batches, **(spec | mixed_shape))
    for turn in range(given.rounds):
        for arm in to_run:
            arm.run(log, here=given.small)
            print(f"{turn + 1}/{given.rounds} {arm.task}: {arm.who}: {arm.seconds[-1]:.3g} s", flush=True)
    attribution = _attribution(given.small, given.threads, given.rounds) if "attribution" in given.parts else []
    results = {
        "machine": machine,
        "rows": _rows(arms + to_run),
        "attribution": attribution,
        "arms": [asdict(arm) for arm in arms + to_run],
    }
    text = markdown(results)
    given.folder.mkdir(parents=True, exist_ok=True)
    write_json(path, results)
    with write_beside(path.with_suffix(".md")) as beside:
        beside.write_text(text, encoding="utf-8")
    print(f"\n{text}")


if __name__ == "__main__":
    main()
