# Needs: models, and here for the first time the test parts. Makes: <results>/predictions/, <results>/benchmark/.


def models_of(wildcards):
    """Return the folders of all runs (folds and seeds) of a variant."""
    variant = CONFIG.all_variants[wildcards.variant]
    return run_folders(CONFIG.system_of(wildcards.task, variant.name), wildcards.task, wildcards.split, variant)


PREDICTIONS = [f"<results>/predictions/{task}/{split}/{variant.name}.tsv" for _, task, split, variant in CONFIG.results]
SPLITS = {f"{task}/{split}": f"<results>/datasets/{task}/{split}/split.tsv" for task, split in CONFIG.splits_used()}


rule predict_test:
    """Score the test items of every fold with every saved model of that fold."""
    input:
        items="<results>/datasets/{task}/items.parquet",
        split="<results>/datasets/{task}/{split}/split.tsv",
        models=models_of,
    output:
        predictions="<results>/predictions/{task}/{split}/{variant}.tsv",
    log:
        "<results>/logs/predict_test/{task}/{split}/{variant}.log",
    params:
        code=code("predict_test"),
    threads: 2
    resources:
        mem_mb=4000,
        runtime=60,
    conda:
        "../envs/model.yaml"
    script:
        "../scripts/predict_test.py"


rule summarise_benchmark:
    """Compute every metric with its interval, and compare each arm with the reference."""
    input:
        predictions=PREDICTIONS,
        splits=list(SPLITS.values()),
    output:
        summary="<results>/benchmark/summary.tsv",
        comparisons="<results>/benchmark/comparisons.tsv",
    log:
        "<results>/logs/summarise_benchmark.log",
    params:
        lines=CONFIG.benchmark_lines(),
        published=CONFIG.published(),
        bootstrap=CONFIG["benchmark"]["bootstrap"],
        seed=CONFIG["seed"],
        code=code("summarise_benchmark"),
    resources:
        mem_mb=4000,
        runtime=60,
    conda:
        "../envs/stats.yaml"
    script:
        "../scripts/summarise_benchmark.py"


rule benchmark:
    """Stage: the benchmark tables."""
    input:
        rules.summarise_benchmark.output,
