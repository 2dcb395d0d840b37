# Needs: genome and annotation, sites. Makes: <results>/genome/ and <results>/regions/ (BED, FASTA, Parquet).

REGION_FILES = {
    "bed": "<results>/regions/{region}.bed",
    "fasta": "<results>/regions/{region}.fa",
    "parquet": "<results>/regions/{region}.parquet",
}


rule prepare_genome:
    """Unpack the genome in upper case, with its index."""
    input:
        fasta=lambda w: fetched(CONFIG["genome"]["fasta"]),
    output:
        genome="<results>/genome/genome.fa",
        index="<results>/genome/genome.fa.fai",
    log:
        "<results>/logs/prepare_genome.log",
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code("prepare_genome"),
    script:
        "../scripts/prepare_genome.py"


rule read_annotation:
    """Turn the annotation into one row a transcript, and check its contigs against the genome's."""
    input:
        gtf=lambda w: fetched(CONFIG["genome"]["annotation"]),
        index=rules.prepare_genome.output.index,
    output:
        annotation="<results>/genome/transcripts.parquet",
    log:
        "<results>/logs/read_annotation.log",
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=6000,
        runtime=30,
    params:
        code=code("read_annotation"),
    script:
        "../scripts/read_annotation.py"


rule extract_utr3_patches:
    """Cut the spliced 3'UTR of the chosen transcripts into patches."""
    input:
        genome=rules.prepare_genome.output.genome,
        index=rules.prepare_genome.output.index,
        annotation=rules.read_annotation.output.annotation,
    output:
        **REGION_FILES,
    log:
        "<results>/logs/extract_utr3_patches/{region}.log",
    wildcard_constraints:
        region=regions_of("utr3_patches"),
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        settings=region,
        code=code("extract_utr3_patches"),
    script:
        "../scripts/extract_utr3_patches.py"


rule extract_site_windows:
    """Cut windows around single-base sites."""
    input:
        genome=rules.prepare_genome.output.genome,
        index=rules.prepare_genome.output.index,
        annotation=rules.read_annotation.output.annotation,
        sites=lambda w: fetched(CONFIG["regions"][w.region]["sites"]),
    output:
        **REGION_FILES,
    log:
        "<results>/logs/extract_site_windows/{region}.log",
    wildcard_constraints:
        region=regions_of("site_windows"),
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        settings=region,
        code=code("extract_site_windows"),
    script:
        "../scripts/extract_site_windows.py"


rule extract_tss_windows:
    """Cut windows centred on the transcription start site of the chosen transcripts."""
    input:
        genome=rules.prepare_genome.output.genome,
        index=rules.prepare_genome.output.index,
        annotation=rules.read_annotation.output.annotation,
    output:
        **REGION_FILES,
    log:
        "<results>/logs/extract_tss_windows/{region}.log",
    wildcard_constraints:
        region=regions_of("tss_windows"),
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        settings=region,
        code=code("extract_tss_windows"),
    script:
        "../scripts/extract_tss_windows.py"


rule extract_transcript_ends:
    """Cut the 3' end of the chosen transcripts, spliced."""
    input:
        genome=rules.prepare_genome.output.genome,
        index=rules.prepare_genome.output.index,
        annotation=rules.read_annotation.output.annotation,
    output:
        **REGION_FILES,
    log:
        "<results>/logs/extract_transcript_ends/{region}.log",
    wildcard_constraints:
        region=regions_of("transcript_ends"),
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        settings=region,
        code=code("extract_transcript_ends"),
    script:
        "../scripts/extract_transcript_ends.py"


rule extract:
    """Stage: every set of regions that the systems to run need."""
    input:
        [f"<results>/regions/{name}.bed" for name in CONFIG.regions_used()],
