# Needs: regions, sources. Makes: <results>/datasets/<task>/ (items, and per split: split, audit, card), <results>/corpora/.


rule build_dataset_fasta:
    """Label the sequences of a FASTA file of positives and one of negatives."""
    input:
        positive=lambda w: fetched(dataset(w)["positive"]),
        negative=lambda w: fetched(dataset(w)["negative"]),
    output:
        dataset="<results>/datasets/{task}/items.parquet",
    log:
        "<results>/logs/build_dataset_fasta/{task}.log",
    wildcard_constraints:
        task=tasks_of("fasta"),
    conda:
        "../envs/data.yaml"
    params:
        flank=lambda w: dataset(w).get("flank"),
        code=code("build_dataset_fasta"),
    script:
        "../scripts/build_dataset_fasta.py"


rule build_dataset_sites:
    """Label reader-bound site windows by a value of their gene."""
    input:
        regions=dataset_regions,
        readers=lambda w: fetched(dataset(w)["readers"]),
        values=lambda w: fetched(dataset(w)["values"]),
    output:
        dataset="<results>/datasets/{task}/items.parquet",
    log:
        "<results>/logs/build_dataset_sites/{task}.log",
    wildcard_constraints:
        task=tasks_of("sites"),
    conda:
        "../envs/data.yaml"
    params:
        column=lambda w: dataset(w)["column"],
        threshold=lambda w: dataset(w)["threshold"],
        code=code("build_dataset_sites"),
    script:
        "../scripts/build_dataset_sites.py"


rule build_dataset_localisation:
    """Label transcript ends by the place of their gene's RNA in the cell."""
    input:
        regions=dataset_regions,
        locations=lambda w: fetched(dataset(w)["locations"]),
    output:
        dataset="<results>/datasets/{task}/items.parquet",
    log:
        "<results>/logs/build_dataset_localisation/{task}.log",
    wildcard_constraints:
        task=tasks_of("localisation"),
    conda:
        "../envs/data.yaml"
    params:
        positive=lambda w: dataset(w)["positive"],
        code=code("build_dataset_localisation"),
    script:
        "../scripts/build_dataset_localisation.py"


rule build_dataset_expression:
    """Label TSS windows by the median expression of their gene over the samples."""
    input:
        regions=dataset_regions,
        samples=lambda w: [fetched(sample) for sample in dataset(w)["samples"]],
    output:
        dataset="<results>/datasets/{task}/items.parquet",
    log:
        "<results>/logs/build_dataset_expression/{task}.log",
    wildcard_constraints:
        task=tasks_of("expression"),
    conda:
        "../envs/data.yaml"
    params:
        low=lambda w: dataset(w).get("low", 0.5),
        high=lambda w: dataset(w).get("high", 0.5),
        code=code("build_dataset_expression"),
    script:
        "../scripts/build_dataset_expression.py"


rule split_dataset:
    """Divide a task's items into train, dev and test parts, and balance them."""
    input:
        dataset="<results>/datasets/{task}/items.parquet",
    output:
        split="<results>/datasets/{task}/{split}/split.tsv",
    log:
        "<results>/logs/split_dataset/{task}/{split}.log",
    conda:
        "../envs/data.yaml"
    params:
        settings=split_settings,
        seed=CONFIG["seed"],
        code=code("split_dataset"),
    script:
        "../scripts/split_dataset.py"


rule audit_dataset:
    """Count what a split leaks and what its classes give away; stop above the thresholds; write the data card."""
    input:
        dataset="<results>/datasets/{task}/items.parquet",
        split="<results>/datasets/{task}/{split}/split.tsv",
    output:
        audit="<results>/datasets/{task}/{split}/audit.json",
        card="<results>/datasets/{task}/{split}/card.md",
    log:
        "<results>/logs/audit_dataset/{task}/{split}.log",
    conda:
        "../envs/data.yaml"
    params:
        task=lambda w: w.task,
        title=lambda w: CONFIG["tasks"][w.task].get("title", w.task),
        split_name=lambda w: w.split,
        max_shared_kmer_share=lambda w: split_settings(w).get("max_shared_kmer_share"),
        code=code("audit_dataset"),
    script:
        "../scripts/audit_dataset.py"


rule build_corpus:
    """Pack the sequences of regions and sources for pretraining."""
    input:
        regions=lambda w: [
            f"<results>/regions/{name}.parquet"
            for name in CONFIG["corpora"][w.corpus].get("regions", [])
        ],
        fastas=lambda w: [
            fetched(name) for name in CONFIG["corpora"][w.corpus].get("sources", [])
        ],
    output:
        codes="<results>/corpora/{corpus}/codes.npy",
        offsets="<results>/corpora/{corpus}/offsets.npy",
        card="<results>/corpora/{corpus}/card.json",
    log:
        "<results>/logs/build_corpus/{corpus}.log",
    conda:
        "../envs/model.yaml"
    params:
        seed=CONFIG["seed"],
        code=code("build_corpus"),
    script:
        "../scripts/build_corpus.py"


rule datasets:
    """Stage: every task's items and splits with their audits, and every corpus."""
    input:
        [
            f"<results>/datasets/{task}/{split}/audit.json"
            for task, split in CONFIG.splits_used()
        ],
        [f"<results>/corpora/{corpus}/card.json" for corpus in CONFIG.corpora_used()],
