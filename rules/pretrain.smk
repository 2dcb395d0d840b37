# Needs: corpora. Makes: <results>/pretrained/<corpus>/k<k>/, a Hugging Face folder with run.json and history.tsv.


rule pretrain_bert:
    """Pretrain a BERT on a corpus by masked-language modelling."""
    input:
        codes="<results>/corpora/{corpus}/codes.npy",
        offsets="<results>/corpora/{corpus}/offsets.npy",
        card="<results>/corpora/{corpus}/card.json",
    output:
        model=directory("<results>/pretrained/{corpus}/k{k}"),
    log:
        "<results>/logs/pretrain_bert/{corpus}/k{k}.log",
    benchmark:
        "<results>/benchmarks/pretrain_bert/{corpus}/k{k}.tsv"
    conda:
        "../envs/model.yaml"
    threads: CONFIG["pretraining"]["threads"]
    resources:
        mem_mb=8000,
        runtime=1440,
    params:
        k=lambda w: int(w.k),
        architecture=CONFIG.architecture("bert"),
        training={
            key: value
            for key, value in CONFIG["pretraining"].items()
            if key != "threads"
        },
        seed=CONFIG["seed"],
        code=code("pretrain_bert"),
    script:
        "../scripts/pretrain_bert.py"


rule pretrain:
    """Stage: every pretrained model that the systems to run start from."""
    input:
        [
            f"<results>/pretrained/{corpus}/k{k}"
            for corpus, k in CONFIG.pretrained_used()
        ],
