# Needs: datasets, pretrained models. Makes: <results>/models/<task>/<split>/<variant>/fold<f>/seed<s>/ for every run.
# A variant is an arm of the config, with its k where it has one.

RUN_FOLDER = "<results>/models/{task}/{split}/{variant}/fold{fold}/seed{seed}"


def variants_of(*architectures):
    """Return the wildcard pattern of the variants with one of the architectures."""
    return one_of(name for name, v in CONFIG.all_variants.items() if v.architecture in architectures)


def start(wildcards):
    """Return the pretrained folder that a variant starts from, if it does."""
    variant = CONFIG.all_variants[wildcards.variant]
    return f"<results>/pretrained/{variant.init}/k{variant.k}" if variant.init not in ("", "random") else []


def arm_settings(wildcards):
    """Return what the config says of a variant's arm."""
    return CONFIG.arm(wildcards.variant)


rule fit_baseline:
    """Fit one of the simple arms: prior, lookup, composition, k-mer logistic regression."""
    input:
        items="<results>/datasets/{task}/items.parquet",
        split="<results>/datasets/{task}/{split}/split.tsv",
        audit="<results>/datasets/{task}/{split}/audit.json",
    output:
        model=directory(RUN_FOLDER),
    log:
        "<results>/logs/fit_baseline/{task}/{split}/{variant}/fold{fold}/seed{seed}.log",
    wildcard_constraints:
        variant=variants_of("prior", "lookup", "composition", "kmer_logistic"),
    params:
        arm=arm_settings,
        fold=lambda w: int(w.fold),
        seed=lambda w: int(w.seed),
        code=code("fit_baseline"),
    resources:
        mem_mb=4000,
        runtime=60,
    conda:
        "../envs/stats.yaml"
    script:
        "../scripts/fit_baseline.py"


rule finetune_model:
    """Train one of the neural arms on a fold's train part; the dev part chooses the epoch."""
    input:
        items="<results>/datasets/{task}/items.parquet",
        split="<results>/datasets/{task}/{split}/split.tsv",
        audit="<results>/datasets/{task}/{split}/audit.json",
        init=start,
    output:
        model=directory(RUN_FOLDER),
    log:
        "<results>/logs/finetune_model/{task}/{split}/{variant}/fold{fold}/seed{seed}.log",
    benchmark:
        "<results>/benchmarks/finetune_model/{task}/{split}/{variant}/fold{fold}/seed{seed}.tsv"
    wildcard_constraints:
        variant=variants_of("cnn", "bert"),
    params:
        arm=arm_settings,
        k=lambda w: CONFIG.all_variants[w.variant].k,
        fold=lambda w: int(w.fold),
        seed=lambda w: int(w.seed),
        code=code("finetune_model"),
    threads: 1
    resources:
        mem_mb=6000,
        runtime=720,
    conda:
        "../envs/model.yaml"
    script:
        "../scripts/finetune_model.py"


rule finetune:
    """Stage: every run of every arm."""
    input:
        [folder for run in CONFIG.results for folder in run_folders(*run)],
